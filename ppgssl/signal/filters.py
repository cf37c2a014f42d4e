"""Zero-phase Butterworth filters: they take frequencies away and leave beats where they were.

Axes used in this file:
    T  samples, the last axis
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

# SciPy's filters are imported where they are used: slow to import, and whoever only hands work to
# other processes never filters.

ORDER = 3  # run forwards and backwards: the attenuation of order 6
PAD_PERIODS = 4  # of the lower edge, mirrored at both ends


def band_pass(
    x: npt.NDArray[np.floating], fs_hz: float, band_hz: tuple[float, float]
) -> np.ndarray:
    """Keep what lies between two frequencies.

    Args:
        x: Samples (..., T); finite.
        fs_hz: Sampling rate, Hz.
        band_hz: Lower and upper edge, Hz; both 6 dB down. An upper edge at or above half the
            sampling rate leaves a high-pass.

    Raises:
        ValueError: The band is empty or not below half the sampling rate.
    """
    low, high = band_hz
    if not 0 < low < high or low >= fs_hz / 2:
        raise ValueError(
            f"band must be 0 < low < high with low below {fs_hz / 2:g} Hz, got {low:g} to {high:g}"
        )
    from scipy.signal import sosfiltfilt

    pad = min(x.shape[-1] - 1, round(PAD_PERIODS * fs_hz / low))
    filtered = sosfiltfilt(_design(low, high, fs_hz), x, axis=-1, padlen=pad)
    return filtered.astype(np.float32) if x.dtype == np.float32 else filtered


@lru_cache(maxsize=32)
def _design(low_hz: float, high_hz: float, fs_hz: float) -> np.ndarray:
    from scipy.signal import butter

    if high_hz >= fs_hz / 2:
        return butter(ORDER, low_hz, btype="highpass", fs=fs_hz, output="sos")
    return butter(ORDER, (low_hz, high_hz), btype="bandpass", fs=fs_hz, output="sos")
