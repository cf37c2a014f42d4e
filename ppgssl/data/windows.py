"""One split of a dataset as batches: lazily with read-ahead, or from memory.

Held in memory are at most two blocks of `buffer_mb` (the one being handed out and the next, while
threads read it), the batch under construction and one row group per thread, whatever the size of
the dataset. Windows come as stored: nothing is normalised or augmented here.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ppgssl.data.order import Block, plan_epoch, skip_windows, stored_rows
from ppgssl.data.schema import window_bytes
from ppgssl.errors import DatasetError


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


class WindowSource(Protocol):
    """Where the windows of one split are stored: row groups that are read one at a time."""

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
        """Windows that are in memory while the largest row group is read."""
        ...

    def read(self, group: int, out: WindowBatch) -> None:
        """Read one row group into `out`. Called from several threads at once."""
        ...

    def metadata(self) -> pa.Table:
        """One row per window in stored order, all columns but the signals."""
        ...


class Windows:
    """The windows of one split. `len()` is their number."""

    def __init__(self, source: WindowSource, *, in_memory: bool = False) -> None:
        self._source = source
        self._in_memory = in_memory
        self._num_windows = sum(source.rows_per_group)

    def __len__(self) -> int:
        return self._num_windows

    @property
    def window_samples(self) -> int:
        """Samples in one window."""
        return self._source.window_samples

    def metadata(self) -> pa.Table:
        """One row per window in stored order: every column but `signal` and `denoised`."""
        return self._source.metadata()

    def read_one(self, row: int) -> WindowBatch:
        """The window at this place in stored order; its whole row group is read for it.

        Raises:
            IndexError: There is no such place.
            DatasetError: The file is damaged.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a split of {len(self)} windows")
        ends = np.cumsum(self._source.rows_per_group)
        group = int(np.searchsorted(ends, row, side="right"))
        size = self._source.rows_per_group[group]
        held = WindowBatch.empty(size, self.window_samples)
        self._source.read(group, held)
        at = row - int(ends[group]) + size
        return held.view(at, at + 1)

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
        buffer_mb: float = 256.0,
        read_ahead: int = 1,
    ) -> Iterator[WindowBatch]:
        """One pass over the split; the last batch may be smaller.

        The order depends on (seed, epoch), `buffer_mb` and the dataset's layout only: it is the
        same lazily and in memory and with any `read_ahead`.

        Args:
            batch_size: Windows in a batch.
            seed: Shuffles; None keeps the stored order.
            epoch: Another epoch, another order.
            start_batch: Begin after this many batches, without reading the blocks before.
            buffer_mb: Windows are shuffled within this much; at most twice as much is held.
            read_ahead: Threads that read the next block while this one is handed out; 0 reads in
                line and holds one block.

        Raises:
            ValueError: `batch_size` is below 1.
            DatasetError: A row group is larger than the buffer, or (while iterating) a file cannot
                be read.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        blocks = self._plan(seed, epoch, buffer_mb)
        blocks = skip_windows(blocks, start_batch * batch_size)
        if self._in_memory:
            rows = stored_rows(blocks, self._source.rows_per_group)
            return _cut([(self._all_windows, rows)], batch_size, len(rows))
        left = sum(len(block.slots) for block in blocks)
        if read_ahead == 0:
            return _cut(_read_in_line(self._source, blocks), batch_size, left)
        return _cut(_read_ahead(self._source, blocks, read_ahead), batch_size, left)

    def _plan(self, seed: int | None, epoch: int, buffer_mb: float) -> list[Block]:
        per_block = int(buffer_mb * 1e6) // window_bytes(self.window_samples)
        largest = self._source.largest_group
        if largest > per_block:
            need_mb = largest * window_bytes(self.window_samples) / 1e6
            raise DatasetError(
                f"a row group holds {largest} windows ({need_mb:.1f} MB), more than the buffer of "
                f"{buffer_mb:g} MB; raise data.shuffle_buffer_mb, or write the files with smaller "
                "row groups"
            )
        return plan_epoch(
            self._source.rows_per_group, windows_per_block=per_block, seed=seed, epoch=epoch
        )

    @cached_property
    def _all_windows(self) -> WindowBatch:
        groups = range(len(self._source.rows_per_group))
        held = WindowBatch.empty(len(self), self.window_samples)
        for group, part in _parts(self._source, groups, held):
            self._source.read(group, part)
        return held


def _parts(
    source: WindowSource, groups: Sequence[int], held: WindowBatch
) -> Iterator[tuple[int, WindowBatch]]:
    """Each row group with its place in `held`."""
    start = 0
    for group in groups:
        stop = start + source.rows_per_group[group]
        yield group, held.view(start, stop)
        start = stop


@dataclass(frozen=True, slots=True)
class _Reading:
    """A block whose row groups are being read."""

    held: WindowBatch
    parts: list[Future[None]]

    def wait(self) -> WindowBatch:
        for part in self.parts:
            part.result()
        return self.held


def _read_in_line(
    source: WindowSource, blocks: Sequence[Block]
) -> Iterator[tuple[WindowBatch, npt.NDArray[np.int64]]]:
    """Each block's windows and the order in which they leave, valid until the next is asked for."""
    [room] = _rooms(source, blocks, 1)
    for block in blocks:
        held = room.view(0, _num_held(source, block))
        for group, part in _parts(source, block.groups, held):
            source.read(group, part)
        yield held, block.slots


def _read_ahead(
    source: WindowSource, blocks: Sequence[Block], num_threads: int
) -> Iterator[tuple[WindowBatch, npt.NDArray[np.int64]]]:
    """The same, while threads read the next block."""
    rooms = _rooms(source, blocks, 2)
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="ppgssl-read-ahead")
    readings = (_start(pool, source, block, rooms[index % 2]) for index, block in enumerate(blocks))
    try:
        upcoming = next(readings, None)
        for block in blocks:
            assert upcoming is not None, "every block is started before it is waited for"
            held = upcoming.wait()
            upcoming = next(readings, None)
            yield held, block.slots
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        # Arrow keeps freed memory for itself; a finished pass gives it back.
        pa.default_memory_pool().release_unused()


def _rooms(source: WindowSource, blocks: Sequence[Block], number: int) -> list[WindowBatch]:
    """Memory for blocks to take turns in.

    Allocating each block anew would cost a page fault per 4 kB, and fragment the heap under malloc
    settings that suit training (measured: 860 instead of 682 MB at the peak).
    """
    largest = max((_num_held(source, block) for block in blocks), default=0)
    return [WindowBatch.empty(largest, source.window_samples) for _ in range(number)]


def _start(
    pool: ThreadPoolExecutor, source: WindowSource, block: Block, room: WindowBatch
) -> _Reading:
    held = room.view(0, _num_held(source, block))
    parts = _parts(source, block.groups, held)
    return _Reading(held, [pool.submit(source.read, group, part) for group, part in parts])


def _num_held(source: WindowSource, block: Block) -> int:
    return sum(source.rows_per_group[group] for group in block.groups)


def _cut(
    blocks: Iterable[tuple[WindowBatch, npt.NDArray[np.int64]]],
    batch_size: int,
    num_left: int,
) -> Iterator[WindowBatch]:
    """Cut the windows of all blocks into batches; a batch may span blocks."""
    batch: WindowBatch | None = None
    filled = 0
    for held, slots in blocks:
        while len(slots):
            if batch is None:
                batch = WindowBatch.empty(min(batch_size, num_left), held.signal.shape[1])
                filled = 0
            taken = min(len(slots), len(batch) - filled)
            batch.view(filled, filled + taken).take_from(held, slots[:taken])
            slots = slots[taken:]
            filled += taken
            num_left -= taken
            if filled == len(batch):
                yield batch
                batch = None
