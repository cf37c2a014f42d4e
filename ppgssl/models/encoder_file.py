"""An encoder on disk: `encoder.safetensors` (weights only) beside `encoder.json` (what they are).

Written by training, or after fine-tuning; read by inference. Nothing here unpickles anything.
"""

import hashlib
import textwrap
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ppgssl.errors import CheckpointError
from ppgssl.models.encoder import Encoder
from ppgssl.models.encoder_info import (
    INFO_FILE,
    WEIGHTS_FILE,
    EncoderInfo,
    checkpoint_folder,
    read_info,
    read_weights,
)

LONGEST_REASON = 200  # characters of what PyTorch says, which names every tensor


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
    weights = read_weights(folder, info)
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
