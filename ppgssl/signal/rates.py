"""Heart rate by the classical ways: spectrum, autocorrelation, and the intervals between beats.

Nothing here is fitted to data: the same samples give the same rate, and always one.

Axes used in this file:
    N  windows    T  samples, the last axis    L  lags
"""

import numpy as np
import numpy.typing as npt

from ppgssl.signal.beats import PULSE_BAND_HZ, find_crests
from ppgssl.signal.filters import band_pass

STRETCH_S = 10.0  # the rate of a longer window varies, which smears its spectrum into many peaks
TRIMMED_SHARE = 0.25  # at either end
HEART_RATE_BPM = (30.0, 210.0)
RESOLUTION_BPM = 0.5  # of the zero-padded spectrum
HARMONICS = 3  # a beat at f also has power at 2 f and 3 f
BAND_HZ = (0.5, 12.0)

AUTOCORRELATION_BPM = (35.0, 200.0)
SHARE_OF_HIGHEST = 0.7  # an earlier peak this high is the beat, the highest one of its multiples
OUTLYING_SHARE = 0.3  # of the median interval; further ones are missed or false beats


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
    rates = np.sort([_spectral_rate_bpm(stretch, fs_hz) for stretch in stretches], axis=0)
    num_trimmed = int(TRIMMED_SHARE * num_stretches)
    return np.asarray(rates[num_trimmed : num_stretches - num_trimmed].mean(axis=0))


def autocorrelation_rate_bpm(x: npt.NDArray[np.floating], fs_hz: float) -> npt.NDArray[np.floating]:
    """The pulse rate of each window, by the lag after which the pulse repeats itself.

    Of the peaks of the unbiased autocorrelation at 0.5 to 8 Hz, the first that reaches 0.7 of the
    highest: two beats repeat themselves as well as one. A parabola through it refines the lag. A
    window without a peak above zero has the rate of the lag that is most alike.

    Args:
        x: Windows (N, T) in any unit; finite. Lags of at most half a window are seen.
        fs_hz: Sampling rate, Hz.

    Returns:
        One rate per window (N,), between 35 and 200.
    """
    samples = x.shape[-1]
    pulse = band_pass(x.astype(np.float64, copy=False), fs_hz, PULSE_BAND_HZ)
    spectrum = np.fft.rfft(pulse, n=2 * samples, axis=-1)
    similarity = np.fft.irfft(np.abs(spectrum) ** 2, axis=-1)[..., :samples]
    unbiased = similarity / (samples - np.arange(samples))
    slowest, fastest = (60 / bpm * fs_hz for bpm in AUTOCORRELATION_BPM)
    first, last = max(1, round(fastest)), min(round(slowest), samples // 2)
    lags = first + _first_high_peak(unbiased[:, first - 1 : last + 2])
    return np.clip(60 * fs_hz / lags, *AUTOCORRELATION_BPM)


def beat_rate_bpm(x: npt.NDArray[np.floating], fs_hz: float) -> npt.NDArray[np.floating]:
    """The pulse rate of each window, by the mean interval between its systolic crests.

    Intervals further than 30 % from the window's median are left out; where none is nearer, the
    median counts. A window with fewer than two crests has its spectral rate.

    Args:
        x: Windows (N, T) in any unit; finite.
        fs_hz: Sampling rate, Hz.

    Returns:
        One rate per window (N,), between 30 and 210.
    """
    rates = np.array([_mean_rate_bpm(crests / fs_hz) for crests in find_crests(x, fs_hz)])
    is_unknown = np.isnan(rates)
    if is_unknown.any():
        rates[is_unknown] = heart_rate_bpm(x[is_unknown], fs_hz)
    return np.clip(rates, *HEART_RATE_BPM)


def _mean_rate_bpm(crest_s: npt.NDArray[np.floating]) -> float:
    intervals = np.diff(crest_s)
    if len(intervals) == 0:
        return float("nan")
    median = np.median(intervals)
    usual = intervals[np.abs(intervals - median) <= OUTLYING_SHARE * median]
    return float(60 / (usual.mean() if len(usual) > 0 else median))


def _first_high_peak(curves: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Where the first high peak of each curve (N, L + 2) lies between its end points, from 0."""
    before, at, after = curves[:, :-2], curves[:, 1:-1], curves[:, 2:]
    is_peak = (at > before) & (at >= after)
    highest = np.where(is_peak, at, -np.inf).max(axis=1, keepdims=True)
    is_high = is_peak & (at >= SHARE_OF_HIGHEST * highest)
    found = np.where(is_high.any(axis=1), is_high.argmax(axis=1), at.argmax(axis=1))
    rows = np.arange(len(curves))
    left, middle, right = before[rows, found], at[rows, found], after[rows, found]
    shift = np.zeros(len(curves))
    np.divide(left - right, 2 * (left - 2 * middle + right), out=shift, where=is_peak[rows, found])
    return found + shift


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
