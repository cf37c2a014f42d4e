"""The held-out windows that the health figures look at: the same ones after every epoch.

Chosen from the metadata alone, so a resumed run measures what it would have measured.

Axes used in this file:
    N  chosen windows    P  pairs of neighbours
"""

from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from ppgssl.data.windows import Windows
from ppgssl.signal.rates import heart_rate_bpm

EMBEDDINGS_LIMIT = 4096  # windows whose embeddings are kept for the figures
STRETCH_WINDOWS = 16  # where there are more, so many neighbours are taken at a time
LARGEST_GAP = 2.0  # between the starts of neighbours, in window lengths: one may be missing
LEAST_PROBED = 8  # windows in each half of the heart rate probe
BATCH_WINDOWS = 64

NO_NEIGHBOURS = (
    "alignment is not measured: no recording has two neighbouring windows in the val split"
)
NO_PROBE = (
    "the heart rate probe is not measured: it needs at least "
    f"{LEAST_PROBED} val windows to learn from and as many to be tested on"
)


class HeldOut:
    """A spread-out choice of a split's windows, and what the figures need to know of them.

    Args:
        windows: The split that is validated on.
        fs_hz: Sampling rate of its windows.
        buffer_mb: Megabytes of windows that may be held while reading.

    Attributes:
        rows: (N,) positions of the chosen windows in stored order, ascending.
        neighbours: (P, 2) chosen windows that follow each other in one recording, as places in
            `rows`.
        first_half: (N,) whether a window's subject is in the probe's first half. A split with a
            single subject is halved by time, so its probe tells nothing about other people.
    """

    def __init__(self, windows: Windows, *, fs_hz: float, buffer_mb: float) -> None:
        self._windows = windows
        self._fs_hz = fs_hz
        self._buffer_mb = buffer_mb
        self.rows = spread_out(len(windows), EMBEDDINGS_LIMIT)
        metadata = windows.metadata().take(self.rows)
        recordings, subjects = _text(metadata, "recording_id"), _text(metadata, "subject_id")
        start_s = _numbers(metadata, "start_s")
        in_time = np.lexsort((start_s, recordings))
        window_s = windows.window_samples / fs_hz
        self.neighbours = find_neighbours(recordings, start_s, in_time, window_s=window_s)
        self.first_half = halve(subjects, in_time)

    @property
    def can_probe(self) -> bool:
        """Whether both halves hold enough windows for the heart rate probe."""
        num_first = int(self.first_half.sum())
        return min(num_first, len(self.rows) - num_first) >= LEAST_PROBED

    @property
    def missing(self) -> list[str]:
        """Figures that this split cannot give, each a sentence with the reason."""
        reasons = {NO_NEIGHBOURS: not len(self.neighbours), NO_PROBE: not self.can_probe}
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
    in_time: Int[np.ndarray, " N"],
    *,
    window_s: float,
) -> Int[np.ndarray, "P 2"]:
    """Windows that follow each other in one recording, with at most one missing between them.

    Args:
        recordings: (N,) the recording of each window.
        start_s: Start of each window in its recording, seconds; NaN where it is not known.
        in_time: The windows in order of recording and start.
        window_s: Length of a window, seconds.
    """
    pairs = np.column_stack([in_time[:-1], in_time[1:]])
    gap_s = start_s[pairs[:, 1]] - start_s[pairs[:, 0]]
    is_near = gap_s <= LARGEST_GAP * window_s * (1 + 1e-9)  # false for NaN
    return pairs[(recordings[pairs[:, 0]] == recordings[pairs[:, 1]]) & is_near]


def halve(subjects: np.ndarray, in_time: Int[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Halves of about the same size that share no subject; of a single subject, halves in time."""
    names, counts = np.unique(subjects, return_counts=True)
    first_half = np.zeros(len(subjects), dtype=np.bool_)
    if len(names) == 1:
        first_half[in_time[: len(in_time) // 2]] = True
        return first_half
    sizes = [0, 0]
    for number in np.argsort(-counts, kind="stable").tolist():
        smaller = int(sizes[1] < sizes[0])
        sizes[smaller] += int(counts[number])
        first_half[subjects == names[number]] = smaller == 0
    return first_half


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
