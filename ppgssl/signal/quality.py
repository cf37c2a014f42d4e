"""Whether a stretch of PPG can be used at all, and how good it is.

Faults are hard reasons to reject a window; the signal quality index (SQI) is a soft score.

Axes used in this file:
    N  windows    T  samples, the last axis
"""

import math

import numpy as np
import numpy.typing as npt

CONSTANT_SHARE = 0.25  # of a stretch may be constant, counting what lasts
CONSTANT_RUN_S = 2.0  # at least this long: a slow beat does not
CLIPPED_SHARE = 0.10  # of a stretch may lie on plateaus at the ends of its range
CLIPPED_RUN_S = 0.05  # a plateau is at least this long: a peak is not

STRETCH_S = 10.0  # longer windows are scored stretch by stretch
LAGS_S = (60 / 210, 60 / 30)  # between beats at 210 and at 30 per minute
BAND_HZ = (0.5, 8.0)  # where a pulse wave's power lies
NOISE_PERIODICITY, PULSE_PERIODICITY = 0.25, 0.85  # of band-limited noise, and of clean pulses


def find_fault(x: npt.NDArray[np.floating], fs_hz: float) -> str | None:
    """Why a stretch (T,) is unusable: `missing`, `flat` or `saturated`; None where it is not.

    Missing: a sample is not finite. Saturated: a tenth of the samples lie on plateaus at the ends
    of the range. Flat: no variation, or a quarter of the stretch in constant runs of two seconds
    or more.
    """
    low, high = float(x.min()), float(x.max())  # NaN where a sample is
    if not math.isfinite(low) or not math.isfinite(high):
        return "missing"
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return "flat"
    if _changes_throughout(x, fs_hz):
        return None
    starts, lengths = _constant_runs(x)
    values = x[starts]
    clipped = ((values == low) | (values == high)) & (lengths >= CLIPPED_RUN_S * fs_hz)
    on_both_ends = len(np.unique(values[clipped])) == 2
    constant = lengths[lengths >= CONSTANT_RUN_S * fs_hz].sum()
    is_constant = 0 < constant >= CONSTANT_SHARE * len(x)
    if is_constant and not on_both_ends:
        return "flat"
    if lengths[clipped].sum() > CLIPPED_SHARE * len(x) and clipped.sum() > 1:
        return "saturated"
    return "flat" if is_constant else None


def fill_gaps(
    x: npt.NDArray[np.floating], fs_hz: float, max_gap_s: float = 0.5
) -> npt.NDArray[np.floating]:
    """Interpolate linearly over gaps (NaN) of at most `max_gap_s` between two samples (T,).

    Longer gaps, and those at an end, stay. `x` itself is returned where nothing is missing.
    """
    is_missing = np.isnan(x)
    if not is_missing.any() or is_missing.all():
        return x
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_missing.view(np.int8), [0]])))
    filled = x.copy()
    for start, stop in edges.reshape(-1, 2):
        if start == 0 or stop == len(x) or stop - start > max_gap_s * fs_hz:
            continue
        steps = np.arange(1, stop - start + 1) / (stop - start + 1)
        filled[start:stop] = x[start - 1] + steps * (x[stop] - x[start - 1])
    return filled


def signal_quality(x: npt.NDArray[np.floating], fs_hz: float) -> npt.NDArray[np.float32]:
    """Signal quality index from 0 (noise) to 1 (clean, regular pulses).

    How much the pulse band repeats itself after one beat (autocorrelation), times the root of the
    share of power in that band. Stretches of ten seconds are scored alone and averaged. An
    irregular rhythm scores lower than a regular one of the same cleanliness; a window too short for
    two beats scores 0.

    Args:
        x: Windows (..., T) in any unit; finite.
        fs_hz: Sampling rate, Hz.

    Returns:
        One value per window (...).
    """
    stretch = min(round(STRETCH_S * fs_hz), x.shape[-1])
    num_stretches = x.shape[-1] // stretch
    stretches = x[..., : num_stretches * stretch].reshape(*x.shape[:-1], num_stretches, stretch)
    return np.asarray(_score(stretches, fs_hz).mean(axis=-1), dtype=np.float32)


def _score(stretches: npt.NDArray[np.floating], fs_hz: float) -> npt.NDArray[np.floating]:
    samples = stretches.shape[-1]
    centred = stretches - stretches.mean(axis=-1, keepdims=True)
    spectrum = np.fft.rfft(centred * np.hanning(samples), n=2 * samples, axis=-1)
    power = np.abs(spectrum) ** 2
    frequency = np.fft.rfftfreq(2 * samples, 1 / fs_hz)
    low, high = BAND_HZ
    in_band = power * ((frequency >= low) & (frequency <= high))
    above = (power * (frequency >= low)).sum(axis=-1)
    share = in_band.sum(axis=-1) / np.maximum(above, np.finfo(np.float64).tiny)

    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(samples), n=2 * samples)) ** 2)
    correlation = np.fft.irfft(in_band, axis=-1)
    first = round(LAGS_S[0] * fs_hz)
    last = min(round(LAGS_S[1] * fs_hz), samples // 2)
    zero = np.maximum(correlation[..., :1] / taper[0], np.finfo(np.float64).tiny)
    repeats = (correlation[..., first:last] / taper[first:last] / zero).max(axis=-1, initial=0)
    periodicity = (repeats - NOISE_PERIODICITY) / (PULSE_PERIODICITY - NOISE_PERIODICITY)
    return np.clip(periodicity, 0, 1) * np.sqrt(share)


def _changes_throughout(x: npt.NDArray[np.floating], fs_hz: float) -> bool:
    """Whether too few neighbours are equal for plateaus; quicker to say than where they are."""
    equal = np.count_nonzero(x[1:] == x[:-1])  # a run of n samples has n - 1 of them
    return bool(equal < CLIPPED_SHARE * len(x) * (1 - 1 / (CLIPPED_RUN_S * fs_hz)))


def _constant_runs(x: npt.NDArray[np.floating]) -> tuple[np.ndarray, np.ndarray]:
    """Start and length of every stretch of equal samples."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(x)) + 1])
    return starts, np.diff(np.append(starts, len(x)))
