"""What readers of windows hand out, and what they ask of a place where windows are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Windows side by side.

    Attributes:
        window_id: (B,) the dataset's number of each window.
        signal: (B, T) as recorded, resampled; in the recording's own unit.
        denoised: (B, T) the same windows, denoised.
    """

    window_id: npt.NDArray[np.int64]
    signal: npt.NDArray[np.float32]
    denoised: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, num_windows: int, window_samples: int) -> "WindowBatch":
        """Room for windows, not yet filled."""
        shape = (num_windows, window_samples)
        return cls(
            np.empty(num_windows, np.int64),
            np.empty(shape, np.float32),
            np.empty(shape, np.float32),
        )

    def __len__(self) -> int:
        return len(self.window_id)

    def view(self, start: int, stop: int) -> "WindowBatch":
        """Windows `start` to `stop`, sharing memory."""
        part = slice(start, stop)
        return WindowBatch(self.window_id[part], self.signal[part], self.denoised[part])

    def take_from(self, held: "WindowBatch", rows: npt.NDArray[np.int64]) -> None:
        """Fill this batch with the given rows of another."""
        self.window_id[:] = held.window_id[rows]
        # With mode="raise" numpy would write into a temporary array first.
        np.take(held.signal, rows, axis=0, out=self.signal, mode="clip")
        np.take(held.denoised, rows, axis=0, out=self.denoised, mode="clip")


class StoredWindows(Protocol):
    """Where the windows of one split are stored."""

    @property
    def window_samples(self) -> int:
        """Samples in one window."""
        ...

    @property
    def rows_per_group(self) -> Sequence[int]:
        """Windows in each row group, in stored order."""
        ...

    @property
    def largest_group(self) -> int:
        """Rows of the largest row group, those of other splits among them."""
        ...

    def metadata(self) -> pa.Table:
        """One row per window in stored order, all columns but the signals."""
        ...


class GroupSource(StoredWindows, Protocol):
    """Windows that have to be decoded, a row group at a time."""

    def read(self, group: int, out: WindowBatch) -> None:
        """Read one row group into `out`. Called from several threads at once."""
        ...


@runtime_checkable
class RowSource(StoredWindows, Protocol):
    """Windows that lie as they are: any of them is one copy away."""

    def read_rows(self, rows: npt.NDArray[np.int64]) -> WindowBatch:
        """These rows of the split, counted in stored order, in memory of their own."""
        ...

    def will_need(self, rows: npt.NDArray[np.int64]) -> None:
        """Let the system fetch these rows from the disk; returns before it has."""
        ...


WindowSource = GroupSource | RowSource
