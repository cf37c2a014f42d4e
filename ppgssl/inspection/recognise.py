"""Finds out what lies at a path, and has it described."""

from collections.abc import Callable
from dataclasses import dataclass

from ppgssl.data.dataset import is_dataset
from ppgssl.data.recordings import find_recordings
from ppgssl.inference.embedding_file import holds_embeddings
from ppgssl.inference.encoder_path import encoder_path
from ppgssl.inspection.checkpoint import describe_checkpoint
from ppgssl.inspection.dataset import describe_dataset
from ppgssl.inspection.description import Description
from ppgssl.inspection.embeddings import describe_embeddings
from ppgssl.inspection.recordings import describe_recordings
from ppgssl.models.encoder_info import WEIGHTS_FILE, find_checkpoint_folder


@dataclass(frozen=True, slots=True)
class Asked:
    """How recordings are read, and how many of them, or of the recordings of embeddings."""

    format: str = "auto"
    channel: str | None = None
    fs_hz: float | None = None
    limit: int = 20


def inspect(
    source: str, asked: Asked, on_recording: Callable[[int], None] = lambda total: None
) -> Description:
    """Describe a checkpoint or run folder, a dataset folder, embeddings, or recordings.

    Args:
        source: A path, a glob of recordings, or `default` for the encoder that comes with ppgssl.
        asked: What the files may not say.
        on_recording: Told after each recording how many will be measured.

    Raises:
        InputError: There is nothing of these kinds, or it is damaged.
    """
    path = encoder_path(source)
    if path.name == WEIGHTS_FILE or find_checkpoint_folder(path) is not None:
        return describe_checkpoint(path)
    if path.is_dir() and is_dataset(path):
        return describe_dataset(path)
    if path.is_file() and holds_embeddings(path):
        return describe_embeddings(path, limit=asked.limit)
    found = find_recordings(
        [source],
        format=asked.format,
        channel=asked.channel,
        fs_hz=asked.fs_hz,
    )
    total = min(asked.limit, len(found.refs))
    return describe_recordings(
        path, found, limit=asked.limit, on_recording=lambda: on_recording(total)
    )
