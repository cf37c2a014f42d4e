"""Values of files as a recording's signal and labels: one meaning for missing, numbers and text."""

import math
import re

import numpy as np
import numpy.typing as npt

from ppgssl.data.readers.naming import plain
from ppgssl.data.recordings import LabelTrack
from ppgssl.errors import RecordingError

NO_LABEL = frozenset({"", "?", "-", "nan", "na", "n/a", "none", "null", "unknown"})
CAPPED = re.compile(r"(\d+(?:\.\d+)?)\s*\+")

# Lists of where something is: one value per event, not per second.
POSITION_WORDS = frozenset({"sample", "samples", "index", "peaks", "onsets", "beats", "times"})

# A track may begin or end somewhat before or after the recording (a device of its own).
SHORTEST_TRACK, LONGEST_TRACK = 0.9, 1.1
TRACK_ENDS_S = 2.0


def as_signal(values: npt.NDArray[np.generic], where: object) -> npt.NDArray[np.float32]:
    """Numbers of one channel, (T,), with NaN where a value is missing or infinite.

    Raises:
        RecordingError: The values are no real numbers, or not in one row.
    """
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise RecordingError(
            f"{where}: a recording is one row of numbers, got {values.dtype} of shape "
            f"{values.shape}"
        )
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and so missing
        signal = np.array(values, np.float32)
    signal[np.isinf(signal)] = np.nan
    return signal


def as_label(value: object) -> float | str | None:
    """One value that holds for a whole recording; None where it says nothing.

    Text that is a number becomes that number, and a capped one ("90+", as ages are published) its
    cap, so that a column of ages stays a column of numbers. A yes or no becomes the class "true" or
    "false".
    """
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    text = str(value).strip()
    if text.lower() in NO_LABEL:
        return None
    capped = CAPPED.fullmatch(text)
    try:
        number = float(capped.group(1) if capped else text)
    except ValueError:
        return text
    return number if math.isfinite(number) else None


def as_track(values: npt.NDArray[np.generic], *, late_s: float = 0.0, fs_hz: float) -> LabelTrack:
    """Values that begin `late_s` after the recording (before it where negative).

    Args:
        values: Numbers, yes or no, or text with None where there is none.
        late_s: Seconds from the start of the recording to the first value.
        fs_hz: Values per second.
    """
    late = round(late_s * fs_hz)
    if values.dtype.kind in "biuf":
        filled = values.astype(np.float64)
        missing = np.full(max(late, 0), np.nan)
    else:
        filled = np.array(["" if value is None else str(value) for value in values], dtype=np.str_)
        missing = np.full(max(late, 0), "")
    return LabelTrack(fs_hz, np.concatenate([missing, filled[max(-late, 0) :]]))


def as_track_per_second(
    name: str, values: npt.NDArray[np.generic], recorded_s: float, *, late_s: float = 0.0
) -> LabelTrack | None:
    """Values as a track of one per second; None where they are something else by name or number.

    Args:
        name: Of the values. Positions of beats, say, are no track.
        values: As for `as_track`.
        recorded_s: Length of the recording, which the track has to fit.
        late_s: As for `as_track`.
    """
    if not POSITION_WORDS.isdisjoint(plain(name).split()):
        return None
    track = as_track(values, late_s=late_s, fs_hz=1.0)
    shortest_s = SHORTEST_TRACK * recorded_s - TRACK_ENDS_S
    longest_s = LONGEST_TRACK * recorded_s + TRACK_ENDS_S
    return track if shortest_s <= len(track.values) <= longest_s else None
