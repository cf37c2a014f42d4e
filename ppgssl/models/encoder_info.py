"""What a checkpoint folder says of its encoder, and whether its weights are whole. No PyTorch."""

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ppgssl.config import ModelConfig
from ppgssl.errors import CheckpointError

FORMAT_VERSION = 1
WEIGHTS_FILE = "encoder.safetensors"
INFO_FILE = "encoder.json"


class EncoderInfo(BaseModel):
    """What `encoder.json` says of the weights beside it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format_version: Literal[1] = FORMAT_VERSION
    architecture: ModelConfig
    segment_tokens: int | None
    fs_hz: float
    window_samples: int
    embedding_dim: int
    preprocessing: dict[str, Any]
    training: dict[str, Any]
    sha256: str

    @property
    def window_s(self) -> float:
        """Length of the windows that it was trained on, seconds."""
        return self.window_samples / self.fs_hz


def checkpoint_folder(path: Path) -> Path:
    """The folder that holds the encoder of a checkpoint folder, run folder or weights file.

    Raises:
        CheckpointError: There is none.
    """
    found = find_checkpoint_folder(path)
    if found is None:
        raise CheckpointError(
            f"no encoder in {path}: expected a folder with {WEIGHTS_FILE} and {INFO_FILE}, "
            "such as the folder `best` of a training run"
        )
    return found


def find_checkpoint_folder(path: Path) -> Path | None:
    """The same, or None where there is no encoder."""
    folder = path.parent if path.name == WEIGHTS_FILE else path
    return next((at for at in (folder, folder / "best") if (at / INFO_FILE).is_file()), None)


def read_info(folder: Path) -> EncoderInfo:
    """What a checkpoint folder says of its encoder, without a look at the weights.

    Raises:
        CheckpointError: It is missing, damaged, or of an unknown version.
    """
    path = folder / INFO_FILE
    try:
        return EncoderInfo.model_validate_json(_read_bytes(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(
            f"{path} is damaged or of an unknown version: {where or 'content'}: {first['msg']}"
        ) from error


def read_weights(folder: Path, info: EncoderInfo) -> bytes:
    """The content of the weights' file.

    Raises:
        CheckpointError: It is missing, damaged, or not what `info` is about.
    """
    weights = _read_bytes(folder / WEIGHTS_FILE)
    found = hashlib.sha256(weights).hexdigest()
    if found != info.sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} is damaged or of another run: its sha256 is {found[:12]}…, "
            f"{INFO_FILE} says {info.sha256[:12]}…; download the checkpoint again"
        )
    return weights


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
