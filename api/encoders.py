"""Which encoder a model's name means now, and how it is kept for a job that needs it later.

A name may mean another encoder tomorrow: aliases move, and a run replaces its `best`. Whoever needs
the same encoder later keeps a copy of it under its sha256, until no job needs it any more. Nothing
here embeds.
"""

import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from ppgssl.errors import CheckpointError
from ppgssl.inference import encoder_path
from ppgssl.jobs.errors import ModelNotFoundError
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Checkpoint
from ppgssl.models.encoder_info import INFO_FILE, WEIGHTS_FILE, EncoderInfo

log = logging.getLogger(__name__)

DEFAULT_MODEL = "default"
SETTLED_S = 3600.0
"""A submission takes far less between keeping an encoder and being in the table, seconds."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class FoundEncoder:
    """What a model's name means now; `default` is of no job.

    `sha256` is of the weights as they are listed, None where nothing lists them.
    """

    folder: Path
    sha256: str | None = None
    job_id: str | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class KeptEncoder:
    """An encoder that was copied to where nothing replaces it, and what it was copied from."""

    source: FoundEncoder
    info: EncoderInfo


def checked_name(model: str) -> str:
    """A name that a model can have.

    Raises:
        ModelNotFoundError: No model can have it.
    """
    if NAME.fullmatch(model) is None:
        raise ModelNotFoundError(f"no model is called {model!r}; give an alias or the id of a job")
    return model


def find_encoder(store: JobStore, settings: Settings, model: str) -> FoundEncoder:
    """The encoder that an alias, a job's id or `default` means now.

    Raises:
        ModelNotFoundError: Nothing has this name.
        CheckpointNotFoundError: The job has no best checkpoint (yet).
        CheckpointError: The checkpoint holds no encoder, or does not lie in the artifact root.
    """
    if model == DEFAULT_MODEL:
        return FoundEncoder(default_encoder_folder())
    row = store.find_model(checked_name(model))
    folder = (settings.artifact_root / row.folder).resolve()
    if not folder.is_relative_to(settings.artifact_root.resolve()):
        raise CheckpointError(
            f"checkpoint {row.name!r} of job {row.job_id} does not lie in the artifact root; "
            "move it there, or train again"
        )
    return FoundEncoder(folder, weights_sha256(row), row.job_id, row.name)


def default_encoder_folder() -> Path:
    """Where the encoder lies that comes with ppgssl."""
    return encoder_path.DEFAULT_ENCODER_FOLDER


def weights_sha256(checkpoint: Checkpoint) -> str:
    """sha256 of the encoder's weights in a checkpoint.

    Raises:
        CheckpointError: The checkpoint holds no encoder.
    """
    for file in checkpoint.files:
        if file["name"] == WEIGHTS_FILE:
            return file["sha256"]
    raise CheckpointError(
        f"checkpoint {checkpoint.name!r} of job {checkpoint.job_id} holds no {WEIGHTS_FILE}"
    )


def use_newest(find: Callable[[], FoundEncoder], use: Callable[[FoundEncoder], Result]) -> Result:
    """Use an encoder; once more where a better one replaced it between finding and reading it.

    Raises:
        CheckpointError: It is damaged.
    """
    found = find()
    try:
        return use(found)
    except CheckpointError:
        newer = find()
        if newer.folder == found.folder:
            raise
        return use(newer)


def keep_encoder(found: FoundEncoder, folder: Path) -> KeptEncoder:
    """Copy an encoder to `folder`/sha256; one that is there already stays.

    Raises:
        CheckpointError: It is damaged, or gone.
    """
    from ppgssl.models.encoder_file import read_encoder

    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".copy-", dir=folder) as scratch:
        copy = Path(scratch) / "encoder"
        copy.mkdir()
        for name in (WEIGHTS_FILE, INFO_FILE):
            _copy(found.folder / name, copy / name)
        _, info = read_encoder(copy)
        _put_in_place(copy, folder / info.sha256)
    return KeptEncoder(found, info)


def _put_in_place(copy: Path, target: Path) -> None:
    """Move a copy to its place, or say of the same one that is there that it is wanted anew."""
    try:
        copy.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        try:
            os.utime(target)
        except FileNotFoundError:  # it was put aside as unused at this very moment
            copy.rename(target)


def remove_unused_encoders(folder: Path, used: Collection[str], now: datetime) -> Sequence[str]:
    """Remove kept encoders that nothing uses, and what was left of unfinished copies.

    What was put there or wanted anew lately stays: its job may not be in the table yet.

    Args:
        folder: Where encoders are kept.
        used: sha256 of those that jobs need.
        now: What ages are held against.

    Returns:
        Names of what was removed.
    """
    if folder.is_symlink() or not folder.is_dir():
        return []
    unused = [path for path in sorted(folder.iterdir()) if path.name not in used]
    return [path.name for path in unused if _remove_settled(path, now)]


def _remove_settled(path: Path, now: datetime) -> bool:
    """Put it aside, look whether it is wanted since, and remove it or put it back."""
    aside = path if path.name.startswith(".") else path.with_name(f".unused-{path.name}")
    try:
        if not _is_settled(path, now):
            return False
        path.rename(aside)
        if not _is_settled(aside, now):
            aside.rename(path)
            return False
    except OSError as error:  # another process is at it, or it is there anew
        log.info("kept encoder %s is left for another time: %s", path.name, error)
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return not aside.exists()


def _is_settled(path: Path, now: datetime) -> bool:
    return now.timestamp() - path.lstat().st_mtime > SETTLED_S


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise CheckpointError(f"{source} is missing; name another checkpoint") from error
