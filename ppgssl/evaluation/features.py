"""Reference features without any learning, to hold an encoder's embeddings against.

Axes used in this file:
    N  windows    T  samples    F  frequency bins    D  features
    K  beats      L  samples of a beat
"""

import importlib.util
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import kurtosis, skew

BAND_HZ = (0.08, 8.0)  # from slow breathing to the pulse's upper harmonics
BINS = 128

NEUROKIT_FEATURES = (
    "crests",
    "rate_bpm",
    "interval_mean_s",
    "interval_sd_s",
    "interval_rmssd_s",
    "crest_mean",
    "crest_sd",
    "amplitude_mean",
    "amplitude_sd",
    "skewness",
    "kurtosis",
    "quality",
)
FEWEST_CRESTS = 3  # two intervals: the least that vary
BEAT_SHARE = 0.4  # of an interval, on either side of a crest, is compared with the mean beat


def log_spectrum(windows: Float[np.ndarray, "N T"], fs_hz: float) -> Float[np.ndarray, "N F"]:
    """Log power of standardised windows from 0.08 to 8 Hz, at most 128 bins, evenly averaged.

    A window of T samples resolves 1 / (T / fs_hz) Hz: short ones have fewer bins.
    """
    centred = windows - windows.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred / np.maximum(deviation, 1e-9), axis=1)) ** 2
    frequency = np.fft.rfftfreq(windows.shape[1], 1 / fs_hz)
    inside = power[:, (frequency >= BAND_HZ[0]) & (frequency <= BAND_HZ[1])]
    groups = np.array_split(np.arange(inside.shape[1]), min(BINS, inside.shape[1]))
    pooled = np.stack([inside[:, group].mean(axis=1) for group in groups], axis=1)
    return np.log(pooled + 1e-6).astype(np.float32)


def neurokit_is_installed() -> bool:
    """Whether `neurokit_features` can be computed here; looks without importing it."""
    return importlib.util.find_spec("neurokit2") is not None


def neurokit_features(windows: Float[np.ndarray, "N T"], fs_hz: float) -> Float[np.ndarray, "N D"]:
    """What NeuroKit2 says of each window's beats, in the order of `NEUROKIT_FEATURES`.

    NeuroKit2 cleans the window and finds its crests; the statistics are ours, since its own are
    slow. Heights are in deviations of the cleaned window. Quality is the mean
    correlation of a beat with the mean beat of its window.

    What a window does not tell (fewer than three crests, or no variation) is replaced by that
    feature's mean over the windows that tell it, or 0 where none does: a probe needs numbers, and
    the mean claims nothing.

    Args:
        windows: Samples in any unit; finite.
        fs_hz: Sampling rate, Hz.

    Raises:
        ImportError: NeuroKit2 is not installed; ask `neurokit_is_installed` first.

    Source:
        Makowski et al. 2021, NeuroKit2. doi:10.3758/s13428-020-01516-y. The quality index:
        Orphanidou et al. 2015, doi:10.1109/JBHI.2014.2338351.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses deprecated parts of SciPy and pandas
        import neurokit2

        rows = [_beat_statistics(*_neurokit_crests(neurokit2, x, fs_hz), fs_hz) for x in windows]
    features = np.asarray(rows).reshape(len(windows), len(NEUROKIT_FEATURES))
    return _fill_with_means(features).astype(np.float32)


def _neurokit_crests(
    neurokit2: Any, window: Float[np.ndarray, " T"], fs_hz: float
) -> tuple[Float[np.ndarray, " T"], np.ndarray]:
    """The cleaned window, standardised, and the samples of its crests."""
    change = window.astype(np.float64) - window[0]  # exactly zero where nothing changes
    cleaned = np.asarray(neurokit2.ppg_clean(change, sampling_rate=fs_hz))
    if not cleaned.any():
        return cleaned, np.empty(0, dtype=np.intp)
    cleaned = (cleaned - cleaned.mean()) / cleaned.std()
    try:
        found = neurokit2.ppg_findpeaks(cleaned, sampling_rate=fs_hz)
    except IndexError:  # how it says that there is no pulse
        return cleaned, np.empty(0, dtype=np.intp)
    return cleaned, np.asarray(found["PPG_Peaks"], dtype=np.intp)


def _beat_statistics(
    cleaned: Float[np.ndarray, " T"], crests: np.ndarray, fs_hz: float
) -> list[float]:
    """One window's features in the order of `NEUROKIT_FEATURES`; NaN where it does not tell."""
    unknown = float("nan")
    shape = [float(skew(cleaned)), float(kurtosis(cleaned))] if cleaned.any() else [unknown] * 2
    if len(crests) < FEWEST_CRESTS:
        return [len(crests), *[unknown] * 8, *shape, unknown]
    intervals = np.diff(crests) / fs_hz
    heights = cleaned[crests]
    amplitudes = heights[1:] - np.minimum.reduceat(cleaned, crests)[:-1]
    return [
        len(crests),
        60 / intervals.mean(),
        intervals.mean(),
        intervals.std(),
        np.sqrt(np.mean(np.diff(intervals) ** 2)),
        heights.mean(),
        heights.std(),
        amplitudes.mean(),
        amplitudes.std(),
        *shape,
        _likeness_of_beats(cleaned, crests),
    ]


def _likeness_of_beats(cleaned: Float[np.ndarray, " T"], crests: np.ndarray) -> float:
    reach = int(BEAT_SHARE * np.median(np.diff(crests)))
    whole = crests[(crests >= reach) & (crests < len(cleaned) - reach)]
    if len(whole) == 0:
        return float("nan")
    beats: Float[np.ndarray, "K L"] = cleaned[whole[:, None] + np.arange(-reach, reach + 1)]
    mean_beat = beats.mean(axis=0)
    return float(np.mean([np.corrcoef(beat, mean_beat)[0, 1] for beat in beats]))


def _fill_with_means(features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    is_known = np.isfinite(features)
    total = np.where(is_known, features, 0).sum(axis=0)
    return np.where(is_known, features, total / np.maximum(is_known.sum(axis=0), 1))
