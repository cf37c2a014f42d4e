"""Where the systolic crests of a PPG are. It finds beats and never says what rate they make.

Axes used in this file:
    N  windows    T  samples of a window    K  crests of a window
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from ppgssl.signal.filters import band_pass

PULSE_BAND_HZ = (0.5, 8.0)
SYSTOLE_S, BEAT_S = 0.111, 0.667  # widths of the two moving averages
OFFSET_SHARE = 0.02  # of the mean power, added to the slower average
REFRACTORY_S = 0.3  # 200 bpm


def find_crests(x: npt.NDArray[np.floating], fs_hz: float) -> list[npt.NDArray[np.intp]]:
    """The samples of the systolic crests of each window.

    A moving average of the pulse's power over one systole that rises above the average over one
    beat marks a block; the highest sample of a block is a crest. Of crests closer than 0.3 s the
    first is kept. A crest that the window's end cuts is left out.

    Args:
        x: Windows (N, T) in any unit; finite.
        fs_hz: Sampling rate, Hz.

    Returns:
        For every window its crests (K,) in order; none where it holds no pulse.

    Source:
        Elgendi et al. 2013, Systolic peak detection in acceleration photoplethysmograms measured
        from emergency responders in tropical conditions. doi:10.1371/journal.pone.0076585.
    """
    change = x.astype(np.float64, copy=False) - x[:, :1]  # exactly zero where nothing changes
    pulse = band_pass(change, fs_hz, PULSE_BAND_HZ)
    power = np.maximum(pulse, 0) ** 2
    threshold = _moving_average(power, BEAT_S * fs_hz)
    threshold += OFFSET_SHARE * power.mean(axis=1, keepdims=True)
    is_inside = _moving_average(power, SYSTOLE_S * fs_hz) > threshold
    return [_crests(row, inside, fs_hz) for row, inside in zip(pulse, is_inside, strict=True)]


def _moving_average(power: npt.NDArray[np.floating], width: float) -> npt.NDArray[np.floating]:
    return uniform_filter1d(power, max(1, round(width)), axis=1)


def _crests(
    pulse: npt.NDArray[np.floating], is_inside: npt.NDArray[np.bool_], fs_hz: float
) -> npt.NDArray[np.intp]:
    edges = np.flatnonzero(np.diff(is_inside, prepend=False, append=False))
    crests: list[int] = []
    for start, stop in edges.reshape(-1, 2):
        crest = start + int(np.argmax(pulse[start:stop]))
        is_cut = crest in (0, len(pulse) - 1)
        is_wide = stop - start >= round(SYSTOLE_S * fs_hz)
        is_apart = not crests or crest - crests[-1] >= REFRACTORY_S * fs_hz
        if is_wide and is_apart and not is_cut:
            crests.append(crest)
    return np.asarray(crests, dtype=np.intp)
