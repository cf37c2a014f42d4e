"""Checkpoint and run folders: what the encoder is, and how its training went."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors import safe_open

from ppgssl.errors import CheckpointError, InputError
from ppgssl.inspection.description import Description, Sheet
from ppgssl.models.encoder_info import (
    INFO_FILE,
    WEIGHTS_FILE,
    EncoderInfo,
    checkpoint_folder,
    read_info,
)
from ppgssl.training.checkpoint import HISTORY_FILE

NUM_VALIDATIONS = 10
SHOWN = ("total", "explained_variance", "effective_rank", "hr_probe_mae", "hr_mean_mae")
PANELS = {
    "loss": ("total",),
    "explained variance": ("explained_variance",),
    "effective rank": ("effective_rank",),
    "heart rate error of a probe (bpm)": ("hr_probe_mae", "hr_mean_mae"),
}
FIGURE_INCHES = (11.0, 6.5)
TRAIN_COLOUR, VAL_COLOUR, MEAN_COLOUR = "#9ca3af", "#c2410c", "#6b7280"


def describe_checkpoint(path: Path) -> Description:
    """Look at an encoder's description and at its loss history; the weights are only counted.

    Raises:
        CheckpointError: It is damaged, or of an unknown version.
    """
    folder = checkpoint_folder(path)
    info = read_info(folder)
    history = _read_history(folder)
    facts = {
        "embedding_dim": info.embedding_dim,
        "fs_hz": info.fs_hz,
        "window_seconds": info.window_s,
        "parameters": _num_parameters(folder / WEIGHTS_FILE),
        "sha256": info.sha256,
        "training": info.training,
        "architecture": info.architecture.model_dump(),
        "preprocessing": info.preprocessing,
    }
    sheets = [_checkpoints(path, info)]
    if history is not None:
        sheets.append(_validations(history))
    return Description(
        "checkpoint", path, facts, tuple(sheets), lambda figure: _draw(figure, history, folder)
    )


def _read_history(folder: Path) -> pa.Table | None:
    """None where there is no file: an encoder may come alone."""
    path = folder / HISTORY_FILE
    if not path.is_file():
        return None
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def _num_parameters(weights: Path) -> int:
    """Numbers in a file of weights, buffers such as running means among them."""
    try:
        with safe_open(weights, framework="np") as file:
            return sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118
    except Exception as error:  # safetensors raises errors of several libraries
        raise CheckpointError(f"{weights} cannot be read: {error}") from error


def _checkpoints(path: Path, info: EncoderInfo) -> Sheet:
    """All names in a run folder, or the one checkpoint."""
    named = sorted(at.parent for at in path.glob(f"*/{INFO_FILE}")) if path.is_dir() else []
    found = {folder.name: read_info(folder) for folder in named} or {path.name: info}
    rows = [
        (name, one.training.get("epoch"), one.training.get("step"), one.training.get("val_loss"))
        for name, one in found.items()
    ]
    return Sheet("checkpoints", ("name", "epoch", "step", "val_loss"), rows)


def _validations(history: pa.Table) -> Sheet:
    """The newest of them."""
    points = history.filter(pc.field("split") == "val")
    names = [name for name in ("epoch", "step", *SHOWN) if name in points.column_names]
    newest = points.select(names).slice(max(0, len(points) - NUM_VALIDATIONS))
    rows = [tuple(row.values()) for row in newest.to_pylist()]
    return Sheet("validations", tuple(names), rows)


def _draw(figure: Figure, history: pa.Table | None, folder: Path) -> None:
    """The loss and the health figures over the steps."""
    if history is None or not len(history):
        raise InputError(f"{folder} has no loss history ({HISTORY_FILE}) to draw")
    figure.set_size_inches(*FIGURE_INCHES)
    points: dict[str, Any] = {
        split: history.filter(pc.field("split") == split) for split in ("train", "val")
    }
    for axes, (title, names) in zip(figure.subplots(2, 2).ravel(), PANELS.items(), strict=True):
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.grid(alpha=0.25)
        if title == "loss":
            _draw_curve(axes, points["train"], "total", "train", TRAIN_COLOUR)
        for name, colour in zip(names, (VAL_COLOUR, MEAN_COLOUR), strict=False):
            _draw_curve(axes, points["val"], name, "val" if name == "total" else name, colour)
        axes.legend(fontsize=8, frameon=False)


def _draw_curve(axes: Axes, points: pa.Table, name: str, label: str, colour: str) -> None:
    values = points[name].to_numpy() if name in points.column_names else np.empty(0)
    steps = points["step"].to_numpy()[: len(values)]
    marker = "" if label == "train" else "."
    axes.plot(steps, values, color=colour, linewidth=1.2, marker=marker, label=label)
