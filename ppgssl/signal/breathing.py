"""Respiration rate by the classical way: what breathing does to the pulse.

Breathing moves the baseline of a PPG, the height of its crests, their amplitude and the intervals
between them. Nothing here is fitted to data.

Axes used in this file:
    N  windows    T  samples of a window    K  crests
    M  modulations    S  samples of a series
"""

import numpy as np
import numpy.typing as npt

from ppgssl.signal.beats import find_crests
from ppgssl.signal.filters import band_pass

RESPIRATION_BPM = (6.0, 36.0)
BASELINE_BAND_HZ = (0.08, 0.7)
SERIES_HZ = 4.0  # of the modulations, well above the fastest breath
RESOLUTION_BPM = 0.25  # of the zero-padded spectrum
FEWEST_CRESTS = 4  # with fewer, only the baseline tells
OUTLYING_DEVIATIONS = 4.0  # robust ones, from the median: further values are clipped

Series = npt.NDArray[np.float64]


def respiration_rate_bpm(x: npt.NDArray[np.floating], fs_hz: float) -> npt.NDArray[np.floating]:
    """The respiration rate of each window, breaths per minute.

    The highest peak of the joint spectrum: the mean of the modulations' spectra between 6 and 36
    breaths per minute, each scaled to the same power. They are weighted by their frequency, since
    slow wander that has nothing to do with breathing falls with it. A window of few breaths (20 s
    hold three at 10 per minute) has a poor estimate.

    Args:
        x: Windows (N, T) in any unit; finite, at least 2 s long.
        fs_hz: Sampling rate, Hz.

    Returns:
        One rate per window (N,), between 6 and 36; 6 where nothing changes.

    Source:
        The modulations: Charlton et al. 2016, An assessment of algorithms to estimate respiratory
        rate from the electrocardiogram and photoplethysmogram. doi:10.1088/0967-3334/37/4/610.
    """
    samples = x.astype(np.float64, copy=False) - x[:, :1]
    baseline = band_pass(samples, fs_hz, BASELINE_BAND_HZ)
    crests = find_crests(x, fs_hz)
    rates = [
        _joint_peak_bpm(_modulations(*window, fs_hz))
        for window in zip(samples, baseline, crests, strict=True)
    ]
    return np.asarray(rates)


def _modulations(
    samples: Series, baseline: Series, crests: npt.NDArray[np.intp], fs_hz: float
) -> Series:
    """Baseline, crest height, amplitude and interval as series (M, S); few crests leave one."""
    at = np.arange(0, len(samples), fs_hz / SERIES_HZ)
    series = [np.interp(at, np.arange(len(samples)), baseline)]
    if len(crests) >= FEWEST_CRESTS:
        later = crests[1:]
        feet = np.minimum.reduceat(samples, crests)[:-1]  # from each crest to the next
        for value in (samples[later], samples[later] - feet, np.diff(crests)):
            series.append(np.interp(at, later, value))
    return np.stack([_without_outliers(one) for one in series])


def _without_outliers(series: Series) -> Series:
    centred = series - np.median(series)
    reach = OUTLYING_DEVIATIONS * 1.4826 * np.median(np.abs(centred))
    clipped = np.clip(centred, -reach, reach)
    return clipped - clipped.mean()


def _joint_peak_bpm(series: Series) -> float:
    padded = round(60 * SERIES_HZ / RESOLUTION_BPM)
    rates = 60 * np.fft.rfftfreq(padded, 1 / SERIES_HZ)
    is_breathing = (rates >= RESPIRATION_BPM[0]) & (rates <= RESPIRATION_BPM[1])
    spectrum = np.fft.rfft(series * np.hanning(series.shape[1]), n=padded, axis=1)
    power = np.abs(spectrum[:, is_breathing]) ** 2 * rates[is_breathing]
    share = power / np.maximum(power.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    joint = share.mean(axis=0)
    is_peak = np.zeros(len(joint), dtype=np.bool_)
    is_peak[1:-1] = (joint[1:-1] > joint[:-2]) & (joint[1:-1] >= joint[2:])
    best = np.where(is_peak | ~is_peak.any(), joint, -np.inf).argmax()
    return float(rates[is_breathing][best])
