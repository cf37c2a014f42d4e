"""What columns and channels are called in the wild: which one is the PPG, the subject, the rate.

Names are compared in lower case, with everything but letters and digits as a border of words.
"""

import re
from collections.abc import Iterable, Sequence

from ppgssl.errors import RecordingError

# Part of a name: PLETH, PLETHYSMOGRAM, PlethWV, SNUADC/PLETH, ppg_green, BVP, Plesmo, ...
PPG_PARTS = ("pleth", "ppg", "bvp", "plesmo")

# Figures made from a PPG, and belts that measure breathing.
OTHER_WORDS = frozenset(
    {
        "baseline",
        "bpm",
        "fs",
        "gain",
        "hr",
        "id",
        "label",
        "peak",
        "peaks",
        "quality",
        "rate",
        "resp",
        "respiration",
        "respiratory",
        "rip",
        "sqi",
        "start",
    }
)

# Names that say "the signal" where there is but one of them.
GENERIC_NAMES = (
    "signal",
    "signals",
    "windows",
    "value",
    "adc",
    "amplitude",
    "waveform",
    "samples",
    "data",
    "x",
    "arr 0",  # an array that was saved without a name
)

RECORDING_NAMES = ("recording_id", "recording", "record_id", "record")
SUBJECT_NAMES = ("subject_id", "subject", "patient_id", "patient")
RATE_NAMES = (
    "fs_hz",
    "fs",
    "sampling_rate_hz",
    "sampling_rate",
    "sampling_frequency",
    "sample_rate_hz",
    "sample_rate",
)
NUM_CHANNELS_SHOWN = 20

HOW_TO_GIVE_RATE = "give its sampling rate (prepare --input-fs HZ, embed --fs HZ)"


def plain(name: str) -> str:
    """A name as it is compared: "Time [s]" is "time s"."""
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


def find_column(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """The first of the wanted columns that is there, under its own spelling."""
    spelling = {plain(name): name for name in names}
    return next((spelling[plain(name)] for name in wanted if plain(name) in spelling), None)


def find_channel(names: Sequence[str], wanted: str | None, where: object) -> int:
    """Which channel holds the PPG.

    Args:
        names: The channels.
        wanted: The channel that the user named; None goes by the names.
        where: The file, for the error.

    Returns:
        Its position. Of several PPG channels the first, one that is called just PPG before others.

    Raises:
        RecordingError: There is none; the message lists the channels.
    """
    position = _named(names, wanted) if wanted is not None else likely_channel(names)
    if position is not None:
        return position
    missing = "no PPG channel" if wanted is None else f"no channel {wanted!r}"
    channels = ", ".join(name or "(unnamed)" for name in names[:NUM_CHANNELS_SHOWN]) or "none"
    if len(names) > NUM_CHANNELS_SHOWN:
        channels += f" and {len(names) - NUM_CHANNELS_SHOWN} more"
    raise RecordingError(f"{where}: {missing}; channels are {channels}; pick one with --channel")


def _named(names: Sequence[str], wanted: str) -> int | None:
    if wanted in names:
        return names.index(wanted)
    spelling = [plain(name) for name in names]
    return spelling.index(plain(wanted)) if plain(wanted) in spelling else None


def likely_channel(names: Sequence[str]) -> int | None:
    """Position of the channel that is a PPG by its name; None where there is none."""
    spelling = [plain(name) for name in names]
    exact = [k for k, name in enumerate(spelling) if name in PPG_PARTS]
    partly = [
        k
        for k, name in enumerate(spelling)
        if any(part in name for part in PPG_PARTS) and OTHER_WORDS.isdisjoint(name.split())
    ]
    generic = [k for k, name in enumerate(spelling) if name in GENERIC_NAMES]
    if exact or partly:
        return (exact or partly)[0]
    return generic[0] if len(generic) == 1 else None
