"""What bulk embedding reads, piece by piece: recordings to cut, or the windows of a dataset.

A unit is what is read at once, and what a resumed run begins anew or does not touch again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.manifest import MANIFEST_NAME
from ppgssl.data.recordings import Recording, RecordingRef, find_recordings
from ppgssl.data.schema import SPLITS
from ppgssl.data.windows import Windows
from ppgssl.signal.quality import fill_gaps

UNIT_SAMPLES = 8_000_000
"""Of a dataset's windows, read at once."""


@dataclass(frozen=True, slots=True)
class RawWindow:
    """A window on its way to the encoder, at its recording's own rate."""

    recording_id: str
    start_s: float
    fs_hz: float
    samples: Float[np.ndarray, " T"]


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece.

    Attributes:
        name: For people.
        identity: Changes where another result has to be expected.
        load: Reads its windows.
    """

    name: str
    identity: str
    load: Callable[[], Iterable[RawWindow]]


def recording_units(refs: Sequence[RecordingRef], window_s: float) -> list[Unit]:
    """A unit per recording, cut into windows side by side; what is left at its end is shorter.

    A row of a two-dimensional array is a window as it stands.
    """
    return [Unit(ref.recording_id, _identity(ref), partial(_cut, ref, window_s)) for ref in refs]


def dataset_units(dataset: Dataset) -> list[Unit]:
    """Units of windows as they are cut, split by split."""
    size = max(1, UNIT_SAMPLES // dataset.window_samples)
    units: list[Unit] = []
    for split in SPLITS:
        windows = dataset.split(split)
        places = windows.metadata().select(["recording_id", "start_s"]) if len(windows) else None
        for number, first in enumerate(range(0, len(windows), size)):
            assert places is not None
            rows = places.slice(first, size)
            load = partial(_read, windows, rows, dataset.fs_hz, size, number)
            units.append(Unit(f"{split} {first}", _identity_of(rows, split, first), load))
    return units


def folder_units(folder: Path, window_s: float, fs_hz: float | None) -> list[Unit]:
    """The units of a dataset folder, or else of the recordings in and below a folder.

    Files behind links that lead out of the folder are left out.

    Raises:
        DatasetError: The dataset is damaged.
        RecordingError: There is no recording.
    """
    if (folder / MANIFEST_NAME).is_file():
        return dataset_units(open_dataset(folder))
    root = folder.resolve()
    found = find_recordings([folder], fs_hz=fs_hz)
    inside = [ref for ref in found.refs if ref.path.resolve().is_relative_to(root)]
    return recording_units(inside, window_s)


def _identity(ref: RecordingRef) -> str:
    changed_ns = ref.path.stat().st_mtime_ns
    return f"{ref.recording_id} {ref.path} {ref.record} {ref.row} {ref.size_bytes} {changed_ns}"


def _cut(ref: RecordingRef, window_s: float) -> Iterable[RawWindow]:
    recording = ref.load()
    if ref.is_window:
        return [RawWindow(recording.recording_id, 0.0, recording.fs_hz, recording.signal)]
    return list(cut(recording, window_s))


def cut(recording: Recording, window_s: float) -> Iterator[RawWindow]:
    """Windows of a recording side by side, its short gaps filled; views of its samples."""
    samples = fill_gaps(recording.signal, recording.fs_hz)
    per_window = round(window_s * recording.fs_hz)
    for start in range(0, len(samples), per_window):
        yield RawWindow(
            recording.recording_id,
            start / recording.fs_hz,
            recording.fs_hz,
            samples[start : start + per_window],
        )


def _identity_of(rows: pa.Table, split: str, first: int) -> str:
    ends = [rows.slice(place, 1).to_pylist() for place in (0, len(rows) - 1)]
    return f"{split} {first} {len(rows)} {ends}"


def _read(
    windows: Windows, rows: pa.Table, fs_hz: float, size: int, number: int
) -> Iterable[RawWindow]:
    batches = windows.batches(size, seed=None, start_batch=number, read_ahead=0)
    signal = next(iter(batches)).signal
    return [
        RawWindow(place["recording_id"], place["start_s"], fs_hz, samples)
        for place, samples in zip(rows.to_pylist(), signal, strict=True)
    ]
