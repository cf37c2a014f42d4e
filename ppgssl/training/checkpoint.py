"""Checkpoints of a run: written whole or not at all, and read back without unpickling objects.

A run folder looks like this; the names are symbolic links that are swapped atomically:

    RUN/
    ├── best    → steps/00000120
    ├── last    → steps/00000160
    ├── epoch-10 → steps/00000120
    └── steps/00000120/{encoder.safetensors, encoder.json, model.safetensors, state.pt,
                        config.yaml, history.parquet}
"""

import hashlib
import io
import os
import pickle
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from ppgssl.config import Config, build_config, read_yaml
from ppgssl.errors import CheckpointError, CheckpointWriteError
from ppgssl.models.autoencoder import Autoencoder
from ppgssl.models.encoder_info import INFO_FILE, WEIGHTS_FILE, EncoderInfo
from ppgssl.training.history import History

MODEL_FILE = "model.safetensors"
STATE_FILE = "state.pt"
CONFIG_FILE = "config.yaml"
HISTORY_FILE = "history.parquet"
FILES = (WEIGHTS_FILE, INFO_FILE, MODEL_FILE, STATE_FILE, CONFIG_FILE, HISTORY_FILE)
STEPS_FOLDER = "steps"


def serialise(
    model: Autoencoder,
    config: Config,
    history: History,
    state: dict[str, Any],
    *,
    preprocessing: dict[str, Any],
    training: dict[str, Any],
) -> dict[str, bytes]:
    """The files of a checkpoint by name, complete in memory before anything touches the disk."""
    weights = save_tensors(_on_cpu(model.encoder))
    info = EncoderInfo(
        architecture=config.model,
        segment_tokens=model.encoder.segment_tokens,
        fs_hz=config.data.fs_hz,
        window_samples=config.data.window_samples,
        embedding_dim=config.model.latent_dim,
        preprocessing=preprocessing,
        training=training,
        sha256=hashlib.sha256(weights).hexdigest(),
    )
    state_buffer, history_buffer = io.BytesIO(), io.BytesIO()
    torch.save(state, state_buffer)
    pq.write_table(history.to_table(), history_buffer)
    return {
        WEIGHTS_FILE: weights,
        INFO_FILE: info.model_dump_json(indent=2).encode(),
        MODEL_FILE: save_tensors(_on_cpu(model)),
        STATE_FILE: state_buffer.getvalue(),
        CONFIG_FILE: config.to_yaml().encode(),
        HISTORY_FILE: history_buffer.getvalue(),
    }


def write_checkpoint(
    run: Path,
    step: int,
    files: dict[str, bytes],
    names: Iterable[str],
    *,
    keep_replaced: bool = False,
) -> Path:
    """Write a checkpoint folder and let `names` point at it; folders without a name are removed.

    The files are flushed to the disk under a temporary name first, so a reader of `last` finds
    either the old checkpoint or the new one. With `keep_replaced` nothing is removed: somebody else
    says when nobody needs it any more.

    Raises:
        CheckpointWriteError: The disk is full or refuses; earlier checkpoints are untouched.
    """
    steps = run / STEPS_FOLDER
    folder = _unused(steps / f"{step:08d}")
    temporary = steps / f".{folder.name}.{os.getpid()}"
    try:
        steps.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        for name, content in files.items():
            _write_through(temporary / name, content)
        temporary.rename(folder)
        for name in names:
            _point(run / name, folder)
        _sync_folder(run)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        needed = sum(len(content) for content in files.values()) / 1e6
        raise CheckpointWriteError(
            f"cannot write the checkpoint of step {step} to {run}: {error.strerror}; earlier "
            f"checkpoints are untouched: free at least {needed:.0f} MB and resume the run"
        ) from error
    if not keep_replaced:
        _remove_unnamed(run)
    return folder


def read_model_and_state(folder: Path, model: nn.Module) -> tuple[dict[str, Any], History]:
    """Load weights into `model`; return the rest of the state and the loss history.

    Raises:
        CheckpointError: A file is missing, damaged, or of another architecture.
    """
    try:
        model.load_state_dict(load_tensors((folder / MODEL_FILE).read_bytes()))
        state = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
        history = History.from_table(pq.read_table(folder / HISTORY_FILE))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder} is no complete checkpoint: {Path(error.filename).name} is missing"
        ) from error
    except (
        OSError,
        RuntimeError,
        SafetensorError,
        EOFError,
        KeyError,
        pickle.UnpicklingError,
        pa.ArrowException,
    ) as error:
        raise CheckpointError(
            f"{folder} is damaged or of another architecture: {error}; resume from another "
            "checkpoint or start a new run"
        ) from error
    return state, history


def read_config(folder: Path) -> Config:
    """The config that a checkpoint was trained with.

    Raises:
        ConfigError: `config.yaml` is missing or damaged.
    """
    return build_config(read_yaml(folder / CONFIG_FILE))


def _on_cpu(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}


def _unused(folder: Path) -> Path:
    repeats = (folder.with_name(f"{folder.name}-{n}") for n in range(2, 1_000_000))
    return folder if not folder.exists() else next(path for path in repeats if not path.exists())


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _point(link: Path, folder: Path) -> None:
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(STEPS_FOLDER) / folder.name)
    fresh.replace(link)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unnamed(run: Path) -> None:
    named = {path.resolve() for path in run.iterdir() if path.is_symlink()}
    for folder in (run / STEPS_FOLDER).iterdir():
        if folder.resolve() not in named:
            shutil.rmtree(folder, ignore_errors=True)
