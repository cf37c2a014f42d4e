"""The target of the reconstruction: a window without noise and without its baseline.

Axes used in this file:
    T  samples, the last axis
"""

import numpy as np
import numpy.typing as npt
import pywt

from ppgssl.signal.filters import band_pass

MAD_TO_DEVIATION = 0.6745  # median absolute deviation of a standard normal variable


def denoise(
    x: npt.NDArray[np.floating],
    fs_hz: float,
    *,
    wavelet: str = "db4",
    level: int = 5,
    band_hz: tuple[float, float] = (0.5, 8.0),
) -> np.ndarray:
    """Shrink wavelet details that noise explains, then keep the pulse's band.

    The noise's deviation is estimated from the finest details (their median absolute value), the
    threshold is the universal one, sqrt(2 log T) times it, and shrinkage is soft.

    Args:
        x: Samples (..., T); finite.
        fs_hz: Sampling rate, Hz.
        wavelet: PyWavelets' name.
        level: Depth; less where the signal is too short for it.
        band_hz: Band that is kept, Hz.

    Returns:
        Samples of the same shape and kind, around zero.

    Source:
        Donoho 1995, De-noising by soft-thresholding.
    """
    samples = x.shape[-1]
    depth = min(level, pywt.dwt_max_level(samples, wavelet))
    if depth < 1:
        return band_pass(x, fs_hz, band_hz)
    approximation, *details = pywt.wavedec(x, wavelet, level=depth, axis=-1)
    deviation = np.median(np.abs(details[-1]), axis=-1, keepdims=True) / MAD_TO_DEVIATION
    threshold = deviation * np.sqrt(2 * np.log(samples))
    shrunk = [np.sign(d) * np.maximum(np.abs(d) - threshold, 0) for d in details]
    restored = pywt.waverec([approximation, *shrunk], wavelet, axis=-1)[..., :samples]
    return band_pass(restored.astype(x.dtype, copy=False), fs_hz, band_hz)
