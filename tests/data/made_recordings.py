"""Recordings whose windows are known beforehand, in the place of files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ppgssl.data.recordings import LabelTrack, Recording, RecordingRef
from ppgssl.errors import RecordingError

FS_HZ = 64.0


@dataclass(frozen=True)
class MadeRef(RecordingRef):
    """Stands for a file; `load` gives what was made, or fails with `damage`."""

    made: Recording | None = None
    damage: str | None = None

    def load(self) -> Recording:
        if self.damage is not None or self.made is None:
            raise RecordingError(self.damage)
        return self.made


def pulse(seconds: float, *, bpm: float = 72.0, fs_hz: float = FS_HZ) -> npt.NDArray[np.float32]:
    """A clean pulse wave: a beat and its first two harmonics, on a level of 100."""
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    beat = 2 * np.pi * bpm / 60 * t
    x = 100 + np.sin(beat) + 0.4 * np.sin(2 * beat + 0.7) + 0.15 * np.sin(3 * beat + 1.1)
    return x.astype(np.float32)


def made_ref(
    signal: npt.NDArray[np.float32],
    name: str = "r0",
    *,
    subject_id: str | None = None,
    fs_hz: float = FS_HZ,
    labels: Mapping[str, float | str | LabelTrack] | None = None,
    damage: str | None = None,
) -> MadeRef:
    """A recording, of a subject of its own unless said."""
    subject_id = subject_id or f"subject-of-{name}"
    return MadeRef(
        path=Path(f"{name}.made"),
        format="numpy",
        recording_id=name,
        size_bytes=signal.nbytes,
        made=Recording(name, subject_id, fs_hz, signal, dict(labels or {})),
        damage=damage,
    )


def many_refs(count: int, seconds: float = 35.0) -> list[MadeRef]:
    """Recordings of different rates, each with a constant label."""
    return [
        made_ref(pulse(seconds, bpm=55 + 3 * k), f"r{k}", labels={"hr_bpm": 55.0 + 3 * k})
        for k in range(count)
    ]
