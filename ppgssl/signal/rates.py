"""Heart rate by the classical way: the highest peak of the spectrum, ten seconds at a time.

Axes used in this file:
    T  samples, the last axis
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import trim_mean

STRETCH_S = 10.0  # the rate of a longer window varies, which smears its spectrum into many peaks
TRIMMED_SHARE = 0.25  # at either end
HEART_RATE_BPM = (30.0, 210.0)
RESOLUTION_BPM = 0.5  # of the zero-padded spectrum
HARMONICS = 3  # a beat at f also has power at 2 f and 3 f
BAND_HZ = (0.5, 12.0)


def heart_rate_bpm(x: npt.NDArray[np.floating], fs_hz: float) -> npt.NDArray[np.floating]:
    """The pulse rate of each window, beats per minute.

    The rate is that whose fundamental and first harmonics together hold the most amplitude, so a
    strong second harmonic (a dicrotic notch) is not taken for the rate. A window of twenty seconds
    or more is cut into stretches of ten to twenty, and has the mean of the middle half of their
    rates: close to the mean rate, without the stretches that motion has spoilt.

    Args:
        x: Windows (..., T) in any unit; finite.
        fs_hz: Sampling rate, Hz.

    Returns:
        One rate per window (...), between 30 and 210.
    """
    num_stretches = max(1, int(x.shape[-1] / (STRETCH_S * fs_hz)))
    stretches = np.array_split(x, num_stretches, axis=-1)
    rates = [_spectral_rate_bpm(stretch, fs_hz) for stretch in stretches]
    return np.asarray(trim_mean(rates, TRIMMED_SHARE, axis=0))


def _spectral_rate_bpm(x: npt.NDArray[np.floating], fs_hz: float) -> npt.NDArray[np.floating]:
    samples = x.shape[-1]
    padded = max(samples, round(60 * fs_hz / RESOLUTION_BPM))
    centred = x - x.mean(axis=-1, keepdims=True)
    amplitude = np.abs(np.fft.rfft(centred * np.hanning(samples), n=padded, axis=-1))
    frequency = np.fft.rfftfreq(padded, 1 / fs_hz)
    amplitude = amplitude * ((frequency >= BAND_HZ[0]) & (frequency <= BAND_HZ[1]))
    low, high = (round(bpm / 60 * padded / fs_hz) for bpm in HEART_RATE_BPM)
    candidates = np.arange(low, high + 1)
    strength = sum(
        amplitude[..., np.minimum(candidates * k, amplitude.shape[-1] - 1)] / k
        for k in range(1, HARMONICS + 1)
    )
    best = candidates[np.argmax(strength, axis=-1)]
    return np.asarray(60 * frequency[best])
