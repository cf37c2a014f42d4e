"""The signal that a row of embeddings was made of, found again where it was read from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ppgssl.data.browsing import find_window_at
from ppgssl.data.dataset import is_dataset, open_dataset
from ppgssl.data.recordings import find_recordings
from ppgssl.errors import RecordingError
from ppgssl.inference.embedding_file import EmbeddingFile, texts
from ppgssl.inference.settings import EmbeddingSettings


@dataclass(frozen=True, slots=True)
class EmbeddedSignal:
    """A stretch of a recording.

    Attributes:
        fs_hz: Its rate.
        begin_s: Where in the recording it begins, seconds.
        samples: In the unit of its file.
        known: What a dataset stores beside it.
    """

    fs_hz: float
    begin_s: float
    samples: Float[np.ndarray, " T"]
    known: dict[str, Any] = field(default_factory=dict[str, Any])


def find_signal(
    file: EmbeddingFile, row: int, folder: Path, settings: EmbeddingSettings, *, own_fs_hz: float
) -> EmbeddedSignal | None:
    """What a row was made of; None where a dataset or a recording is not there any more.

    Of a dataset it is the whole window, of a recording what lies before its next row.

    Args:
        file: The embeddings.
        row: Place in it.
        folder: What was embedded: a dataset, or recordings.
        settings: How.
        own_fs_hz: Rate of the rows of arrays where the settings name none.

    Raises:
        InputError: The dataset or the recording cannot be read.
    """
    [place] = file.take(np.array([row]), ["recording_id", "start_s"]).to_pylist()
    recording_id, start_s = place["recording_id"], place["start_s"]
    if not is_dataset(folder):
        return _of_recording(file, recording_id, start_s, folder, settings, own_fs_hz)
    dataset = open_dataset(folder)
    window = find_window_at(dataset, recording_id, start_s)
    if window is None:
        return None
    begin_s = float(window.columns["start_s"])
    return EmbeddedSignal(dataset.fs_hz, begin_s, window.signal, window.columns)


def _of_recording(
    file: EmbeddingFile,
    recording_id: str,
    start_s: float,
    folder: Path,
    settings: EmbeddingSettings,
    own_fs_hz: float,
) -> EmbeddedSignal | None:
    try:
        found = find_recordings(
            [folder],
            channel=settings.channel,
            fs_hz=settings.fs_hz,
            window_fs_hz=settings.fs_hz or own_fs_hz,
            within=folder,
        )
    except RecordingError:  # none is left
        return None
    for ref in found.refs:
        if ref.recording_id == recording_id:
            recording = ref.load()
            first = round(start_s * recording.fs_hz)
            step_s = _step_s(file, recording_id)
            last = None if step_s is None else first + round(step_s * recording.fs_hz)
            return EmbeddedSignal(recording.fs_hz, start_s, recording.signal[first:last])
    return None


def _step_s(file: EmbeddingFile, recording_id: str) -> float | None:
    """Between the rows of a recording; None: a single row is of all of it."""
    places = file.places()
    starts_s = places["start_s"].to_numpy()[texts(places["recording_id"]) == recording_id]
    return float(np.diff(np.sort(starts_s)).max()) if len(starts_s) > 1 else None
