"""Thins a signal for drawing, so that no peak is lost: per stretch the smallest and the largest."""

import itertools

import numpy as np
import numpy.typing as npt


def envelope(x: npt.NDArray[np.floating], max_points: int) -> npt.NDArray[np.int64]:
    """Which samples of a signal (T,) draw it like all of them: at most `max_points`, in order.

    Stretches are as even as whole samples allow; the first and the last sample are kept. A signal
    that is short enough is kept whole. Missing samples (NaN) are never chosen over others.

    Raises:
        ValueError: `max_points` is below 4.
    """
    if max_points < 4:
        raise ValueError(f"max_points must be at least 4, got {max_points}")
    if len(x) <= max_points:
        return np.arange(len(x))
    edges = np.linspace(0, len(x), (max_points - 2) // 2 + 1).astype(np.int64)
    chosen = [0, len(x) - 1]
    low, high = np.where(np.isnan(x), np.inf, x), np.where(np.isnan(x), -np.inf, x)
    for start, stop in itertools.pairwise(edges):
        chosen += [start + int(low[start:stop].argmin()), start + int(high[start:stop].argmax())]
    return np.unique(chosen)
