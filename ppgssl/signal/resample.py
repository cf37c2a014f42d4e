"""Change the sampling rate of a signal without aliasing.

Axes used in this file:
    T  samples, the last axis
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

# The polyphase ratio is the simplest that drifts by less than 0.1 s a day: MIMIC's rate of
# 124.945 Hz, say, needs large factors, and the filter grows with them.
LARGEST_FACTORS = (200, 2_000, 20_000)
LARGEST_DRIFT = 1e-6


def resample(x: npt.NDArray[np.floating], fs_in_hz: float, fs_out_hz: float) -> np.ndarray:
    """Resample along the last axis with a polyphase anti-aliasing filter.

    Args:
        x: Samples (..., T); finite. Each row's mean is kept out of the filter, so that offsets do
            not ring at the edges.
        fs_in_hz: Its sampling rate, Hz.
        fs_out_hz: The rate wanted, Hz.

    Returns:
        Samples (..., ceil(T * fs_out / fs_in)), float32 for float32 and float64 otherwise; `x`
        itself where the rates are equal.

    Raises:
        ValueError: A rate is not positive.
    """
    if fs_in_hz <= 0 or fs_out_hz <= 0:
        raise ValueError(f"rates must be positive, got {fs_in_hz:g} Hz and {fs_out_hz:g} Hz")
    ratio = _simplest_ratio(fs_out_hz / fs_in_hz)
    if ratio == 1:
        return x
    from scipy.signal import resample_poly  # takes longer to import than all else here together

    kind = np.float32 if x.dtype == np.float32 else np.float64
    samples = x.astype(kind, copy=False)
    mean = samples.mean(axis=-1, keepdims=True)
    resampled = resample_poly(samples - mean, ratio.numerator, ratio.denominator, axis=-1) + mean
    return resampled.astype(kind, copy=False)


def resampled_length(num_samples: int, fs_in_hz: float, fs_out_hz: float) -> int:
    """How many samples `resample` makes of so many."""
    ratio = _simplest_ratio(fs_out_hz / fs_in_hz)
    return -(-num_samples * ratio.numerator // ratio.denominator)


@lru_cache(maxsize=256)
def _simplest_ratio(exact: float) -> Fraction:
    ratios = [Fraction(exact).limit_denominator(largest) for largest in LARGEST_FACTORS]
    return next((r for r in ratios if abs(float(r) / exact - 1) <= LARGEST_DRIFT), ratios[-1])
