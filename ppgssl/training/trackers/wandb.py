"""Weights & Biases: a run of the project `ppgssl` or WANDB_PROJECT, WANDB_MODE as it is set."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ppgssl.training.progress import LossPoint
from ppgssl.training.trackers.tracker import PROJECT, named_values

EXIT_FAILED = 1


class Wandb:
    """Sends values; `run` is what `wandb.init` gave."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, points: Sequence[LossPoint]) -> None:
        """Values named by split and value."""
        for point in points:
            self._run.log(named_values(point), step=point.step)

    def close(self, *, succeeded: bool) -> None:
        """Say how the run ended."""
        self._run.finish(exit_code=0 if succeeded else EXIT_FAILED)


def open_tracker(out: Path, config: Mapping[str, Any]) -> Wandb:
    """Start a run named after the run folder, which keeps what wandb writes."""
    out.mkdir(parents=True, exist_ok=True)
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    wandb: Any = import_module("wandb")
    return Wandb(wandb.init(project=project, name=out.name, dir=str(out), config=dict(config)))
