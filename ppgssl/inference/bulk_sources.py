"""What bulk embedding reads, piece by piece: recordings to cut, or the windows of a dataset.

A unit is what is read at once, and what a resumed run begins anew or does not touch again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from ppgssl.data.dataset import Dataset, is_dataset, open_dataset
from ppgssl.data.recordings import Recording, RecordingRef, check_recordings, find_recordings
from ppgssl.data.schema import SPLITS, Split
from ppgssl.inference.settings import SHORTEST_WINDOW_S, EmbeddingSettings
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
        size: Bytes, or about as many: how much work it is beside the other units.
        load: Reads its windows, also in another process.
        source: Where they lie: a file, or the folder of a dataset.
    """

    name: str
    identity: str
    size: int
    load: Callable[[], Sequence[RawWindow]]
    source: Path


@dataclass(frozen=True, slots=True)
class FoundUnits:
    """What there is to embed, and the files that are no usable recordings, each with the reason."""

    units: list[Unit]
    skipped: list[tuple[Path, str]]


def find_units(
    sources: Sequence[str | Path],
    settings: EmbeddingSettings,
    *,
    format: str = "auto",
    own_window_s: float,
    own_fs_hz: float,
    within: Path | None = None,
) -> FoundUnits:
    """The windows of dataset folders, as they are cut, then those of all recordings.

    Args:
        sources: Dataset folders, and files, folders and globs of recordings.
        settings: How recordings are read and cut.
        format: Of the recordings, or auto.
        own_window_s: Length of windows where the settings name none.
        own_fs_hz: Rate of the rows of arrays where the settings name none.
        within: Files that lie outside this folder, behind a link, are skipped.

    Raises:
        DatasetError: A dataset is damaged, or all sources are and a setting is of recordings.
        RecordingError: A source does not exist, or gives no recording.
    """
    datasets = [source for source in sources if is_dataset(Path(source))]
    others = [source for source in sources if source not in datasets]
    units = [unit for folder in datasets for unit in dataset_units(open_dataset(Path(folder)))]
    if not others:
        settings.refuse_of_recordings(Path(datasets[0]).name)
        return FoundUnits(units, [])
    found = find_recordings(
        others,
        format=format,
        channel=settings.channel,
        fs_hz=settings.fs_hz,
        window_fs_hz=settings.fs_hz or own_fs_hz,
        within=within,
    )
    window_s = settings.window_seconds or own_window_s
    return FoundUnits(units + recording_units(found.refs, window_s), found.skipped)


def check_units(folder: Path, settings: EmbeddingSettings, *, own_fs_hz: float) -> None:
    """Refuse a folder in which `find_units` would find nothing, without looking at all of it.

    Raises:
        DatasetError: The dataset is damaged, or a setting is of recordings.
        RecordingError: There is no usable recording.
    """
    if is_dataset(folder):
        open_dataset(folder)
        settings.refuse_of_recordings(folder.name)
        return
    check_recordings(
        folder,
        channel=settings.channel,
        fs_hz=settings.fs_hz,
        window_fs_hz=settings.fs_hz or own_fs_hz,
    )


def recording_units(refs: Sequence[RecordingRef], window_s: float) -> list[Unit]:
    """A unit per recording, cut into windows side by side; what is left at its end is shorter.

    Less than can be embedded is left out, unless it is all there is. A row of a two-dimensional
    array is a window as it stands.
    """
    return [
        Unit(
            ref.recording_id,
            _identity(ref, window_s),
            ref.size_bytes,
            partial(_cut, ref, window_s),
            ref.path,
        )
        for ref in refs
    ]


def dataset_units(dataset: Dataset) -> list[Unit]:
    """Units of windows as they are cut, split by split."""
    size = max(1, UNIT_SAMPLES // dataset.window_samples)
    units: list[Unit] = []
    for split in SPLITS:
        windows = _SplitWindows(dataset, split)
        for number, first in enumerate(range(0, len(windows.places), size)):
            piece = _Piece(windows, number, size)
            rows = windows.places.slice(first, size)
            identity = _identity_of(rows, split, first)
            size_bytes = np.dtype(np.float32).itemsize * len(rows) * dataset.window_samples
            name = f"{split} {first}"
            units.append(Unit(name, identity, size_bytes, piece.load, dataset.path))
    return units


def _identity(ref: RecordingRef, window_s: float) -> str:
    changed_ns = ref.path.stat().st_mtime_ns
    where = f"{ref.recording_id} {ref.path} {ref.record} {ref.row} {ref.options}"
    return f"{where} {ref.size_bytes} {changed_ns} {window_s}"


def _cut(ref: RecordingRef, window_s: float) -> Sequence[RawWindow]:
    recording = ref.load()
    if ref.is_window:
        return [RawWindow(recording.recording_id, 0.0, recording.fs_hz, recording.signal)]
    return list(cut(recording, window_s))


def cut(recording: Recording, window_s: float) -> Iterator[RawWindow]:
    """Windows of a recording side by side, its short gaps filled; views of its samples."""
    samples = fill_gaps(recording.signal, recording.fs_hz)
    per_window = round(window_s * recording.fs_hz)
    for start in range(0, len(samples), per_window):
        piece = samples[start : start + per_window]
        if start == 0 or len(piece) >= SHORTEST_WINDOW_S * recording.fs_hz:
            start_s = start / recording.fs_hz
            yield RawWindow(recording.recording_id, start_s, recording.fs_hz, piece)


def _identity_of(rows: pa.Table, split: str, first: int) -> str:
    ends = [rows.slice(place, 1).to_pylist() for place in (0, len(rows) - 1)]
    return f"{split} {first} {len(rows)} {ends}"


class _SplitWindows:
    """A split as it is stored; another process opens the dataset itself."""

    def __init__(self, dataset: Dataset, split: Split) -> None:
        self._path, self._split = dataset.path, split
        self.windows, self.fs_hz = dataset.split(split), dataset.fs_hz
        self.places = self.windows.metadata().select(["recording_id", "start_s"])

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._split)


@cache
def _reopen(path: Path, split: Split) -> _SplitWindows:
    return _SplitWindows(open_dataset(path), split)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Windows of a split that follow each other: the `number`-th so many."""

    of: _SplitWindows
    number: int
    size: int

    def load(self) -> Sequence[RawWindow]:
        """Read them."""
        batches = self.of.windows.batches(
            self.size, seed=None, start_batch=self.number, read_ahead=0
        )
        signal = next(iter(batches)).signal
        places = self.of.places.slice(self.number * self.size, self.size).to_pylist()
        return [
            RawWindow(place["recording_id"], place["start_s"], self.of.fs_hz, samples)
            for place, samples in zip(places, signal, strict=True)
        ]
