"""An encoder on disk: `encoder.safetensors` (weights only) beside `encoder.json` (what they are).

Written by training, or after fine-tuning; read by inference. Nothing here unpickles anything.
"""

import hashlib
import textwrap
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ppgssl.config import ModelConfig
from ppgssl.errors import CheckpointError
from ppgssl.models.encoder import Encoder

FORMAT_VERSION = 1
WEIGHTS_FILE = "encoder.safetensors"
INFO_FILE = "encoder.json"
LONGEST_REASON = 200  # characters of what PyTorch says, which names every tensor


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


def read_encoder(path: Path) -> tuple[Encoder, EncoderInfo]:
    """Load an encoder in evaluation mode on the CPU.

    Args:
        path: A checkpoint folder, a run folder (its `best` is taken), or `encoder.safetensors`.

    Raises:
        CheckpointError: A file is missing, damaged, of an unknown version, or does not fit the
            other.
    """
    folder = checkpoint_folder(path)
    info = read_info(folder)
    weights = _read_bytes(folder / WEIGHTS_FILE)
    found = hashlib.sha256(weights).hexdigest()
    if found != info.sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} is damaged or of another run: its sha256 is {found[:12]}…, "
            f"{INFO_FILE} says {info.sha256[:12]}…; download the checkpoint again"
        )
    encoder = Encoder(info.architecture, info.segment_tokens, info.fs_hz)
    try:
        encoder.load_state_dict(load_tensors(weights))
    except (SafetensorError, RuntimeError) as error:
        what = textwrap.shorten(str(error), width=LONGEST_REASON, placeholder=" …")
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} does not fit the architecture in {INFO_FILE}; both have to "
            f"be of one run and one version of ppgssl ({what})"
        ) from error
    return encoder.eval(), info


def write_encoder(folder: Path, encoder: Encoder, info: EncoderInfo) -> None:
    """Write an encoder that was changed, as by fine-tuning, for all that takes a checkpoint folder.

    Args:
        folder: Where to; made where it is not there.
        encoder: The network, of the architecture that `info` tells.
        info: What is known of it; its sha256 becomes that of the weights as they are now.

    Raises:
        FileExistsError: The folder holds an encoder already.
    """
    if (folder / INFO_FILE).exists():
        raise FileExistsError(f"{folder} holds an encoder already; name another folder")
    weights = save_tensors({name: t.detach().cpu() for name, t in encoder.state_dict().items()})
    sha256 = hashlib.sha256(weights).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    changed = info.model_copy(update={"sha256": sha256})
    (folder / INFO_FILE).write_text(changed.model_dump_json(indent=2), "utf-8")


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


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
