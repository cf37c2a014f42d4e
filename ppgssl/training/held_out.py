"""The windows that the health figures look at: the same ones after every epoch.

Chosen once, from the metadata and the seed, so a resumed run measures what it would have measured.

Axes used in this file:
    N  chosen windows    M  windows that the probe is fitted on    P  pairs of neighbours
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from ppgssl.data.batch import WindowBatch
from ppgssl.data.windows import Windows
from ppgssl.signal.rates import heart_rate_bpm

EMBEDDINGS_LIMIT = 4096  # windows whose embeddings are kept for the figures
STRETCH_WINDOWS = 16  # where there are more, so many neighbours are taken at a time
LARGEST_GAP = 2.0  # between the starts of neighbours, in window lengths: one may be missing
LEAST_PROBED = 8  # windows that the heart rate probe is tested on
FITTED_AT_LEAST, FITTED_AT_MOST = 512, 2048  # windows of the probe: about as many as validate
BATCH_WINDOWS = 64

NO_NEIGHBOURS = (
    "alignment is not measured: no recording has two neighbouring windows in the val split"
)
NO_PROBE = (
    "the heart rate probe is not measured: it is tested on a val split of at least "
    f"{LEAST_PROBED} windows"
)


class HeldOut:
    """A spread-out choice of a split's windows, and what the figures need to know of them.

    Args:
        windows: The split that is validated on.
        training: What the heart rate probe is fitted on; None where that is the same split.
        fs_hz: Sampling rate of the windows.
        buffer_mb: Megabytes of windows that may be held while reading.
        seed: Chooses the training windows.

    Attributes:
        rows: (N,) positions of the chosen windows in stored order, ascending.
        neighbours: (P, 2) chosen windows that follow each other in one recording, as places in
            `rows`.
        probe: What the heart rate probe is fitted on; None where there is too little to test.
    """

    def __init__(
        self,
        windows: Windows,
        training: Windows | None,
        *,
        fs_hz: float,
        buffer_mb: float,
        seed: int,
    ) -> None:
        self._windows = windows
        self._fs_hz = fs_hz
        self._buffer_mb = buffer_mb
        self.rows = spread_out(len(windows), EMBEDDINGS_LIMIT)
        metadata = windows.metadata().take(self.rows)
        recordings, start_s = _text(metadata, "recording_id"), _numbers(metadata, "start_s")
        window_s = windows.window_samples / fs_hz
        self.neighbours = find_neighbours(recordings, start_s, window_s=window_s)
        self.probe: ProbeFit | None = None
        if training is not None and len(windows) >= LEAST_PROBED:
            wanted = min(max(len(windows), FITTED_AT_LEAST), FITTED_AT_MOST)
            self.probe = ProbeFit(training, wanted, fs_hz=fs_hz, buffer_mb=buffer_mb, seed=seed)

    @property
    def missing(self) -> list[str]:
        """Figures that this split cannot give, each a sentence with the reason."""
        reasons = {NO_NEIGHBOURS: not len(self.neighbours), NO_PROBE: self.probe is None}
        return [reason for reason, holds in reasons.items() if holds]

    def places(self, start: int, stop: int) -> Int[np.ndarray, " K"]:
        """Which of the split's windows `start` to `stop` are chosen, counted from `start`."""
        first, last = np.searchsorted(self.rows, [start, stop])
        return self.rows[first:last] - start

    @cached_property
    def heart_rates(self) -> Float[np.ndarray, " N"]:
        """Beats per minute from the spectra of the denoised windows; reads the split once."""
        rates: list[np.ndarray] = []
        start = 0
        for batch in self._windows.batches(BATCH_WINDOWS, seed=None, buffer_mb=self._buffer_mb):
            places = self.places(start, start + len(batch))
            rates.append(heart_rate_bpm(batch.denoised[places], self._fs_hz))
            start += len(batch)
        return np.concatenate(rates).astype(np.float64)


class ProbeFit:
    """The training windows that the heart rate probe is fitted on.

    Not half of the val split: with the few subjects that it usually has, no probe can tell heart
    rates from people (measured on 11 simulated subjects: 10.1 bpm from five of them, 2.7 bpm from
    the training split, the mean 9.1).

    Args:
        windows: The training split.
        wanted: How many of its windows; fewer where it has not so many.
        fs_hz: Their sampling rate.
        buffer_mb: Megabytes of windows that may be held while reading.
        seed: Chooses them, out of blocks of so many megabytes.
    """

    def __init__(
        self, windows: Windows, wanted: int, *, fs_hz: float, buffer_mb: float, seed: int
    ) -> None:
        self._windows = windows
        self._fs_hz = fs_hz
        self._buffer_mb = buffer_mb
        self._seed = seed
        self.num_windows = min(wanted, len(windows))

    def batches(self, batch_size: int) -> Iterator[WindowBatch]:
        """The windows, always in the same order."""
        left = self.num_windows
        shuffled = self._windows.batches(
            batch_size, seed=self._seed, buffer_mb=self._buffer_mb, read_ahead=0
        )
        for batch in shuffled:
            yield batch.view(0, left)
            left -= len(batch)
            if left <= 0:
                return

    @cached_property
    def heart_rates(self) -> Float[np.ndarray, " M"]:
        """Beats per minute from the spectra of the denoised windows; reads them once."""
        rates = [
            heart_rate_bpm(batch.denoised, self._fs_hz) for batch in self.batches(BATCH_WINDOWS)
        ]
        return np.concatenate(rates).astype(np.float64)


def spread_out(num_windows: int, limit: int) -> Int[np.ndarray, " N"]:
    """Positions of at most `limit` windows: all, or stretches of neighbours at even distances."""
    if num_windows <= limit:
        return np.arange(num_windows)
    stretch = min(STRETCH_WINDOWS, limit)
    starts = np.linspace(0, num_windows - stretch, limit // stretch).astype(np.int64)
    return (starts[:, None] + np.arange(stretch)).ravel()


def find_neighbours(
    recordings: np.ndarray,
    start_s: Float[np.ndarray, " N"],
    *,
    window_s: float,
) -> Int[np.ndarray, "P 2"]:
    """Windows that follow each other in one recording, with at most one missing between them.

    Args:
        recordings: (N,) the recording of each window.
        start_s: Start of each window in its recording, seconds; NaN where it is not known.
        window_s: Length of a window, seconds.
    """
    in_time = np.lexsort((start_s, recordings))
    pairs = np.column_stack([in_time[:-1], in_time[1:]])
    gap_s = start_s[pairs[:, 1]] - start_s[pairs[:, 0]]
    is_near = gap_s <= LARGEST_GAP * window_s * (1 + 1e-9)  # false for NaN
    return pairs[(recordings[pairs[:, 0]] == recordings[pairs[:, 1]]) & is_near]


def _text(metadata: pa.Table, name: str) -> np.ndarray:
    """A column of text; the older layout may lack it, then all windows count as one."""
    if name not in metadata.column_names:
        return np.full(len(metadata), "")
    return np.asarray(metadata[name].cast(pa.string()).to_pylist(), dtype=np.str_)


def _numbers(metadata: pa.Table, name: str) -> Float[np.ndarray, " N"]:
    """A column of numbers; NaN where the older layout lacks it."""
    if name not in metadata.column_names:
        return np.full(len(metadata), np.nan)
    return metadata[name].cast(pa.float64()).to_numpy()
