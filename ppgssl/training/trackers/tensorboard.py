"""TensorBoard's event files, in `tensorboard/` of the run folder; TensorFlow is not needed.

A resumed run writes them anew, from its history: each step is in them once.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch.utils.tensorboard import SummaryWriter

from ppgssl.training.progress import LossPoint
from ppgssl.training.trackers.tracker import named_values

FOLDER = "tensorboard"
FLUSH_SECONDS = 5


class TensorBoard:
    """Writes scalars named by split and value, and the config as a text."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._writer: Any = SummaryWriter(str(folder), flush_secs=FLUSH_SECONDS)
        text = yaml.safe_dump(dict(config), sort_keys=False)
        self._writer.add_text("config", f"```yaml\n{text}```")

    def log(self, points: Sequence[LossPoint]) -> None:
        """One scalar per value."""
        for point in points:
            for name, value in named_values(point).items():
                self._writer.add_scalar(name, value, point.step)

    def close(self, *, succeeded: bool) -> None:
        """Write what is left; an event file does not say how a run ended."""
        self._writer.close()


def open_tracker(out: Path, config: Mapping[str, Any]) -> TensorBoard:
    """Start new event files in the run folder; those of an earlier start are removed."""
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    return TensorBoard(folder, config)
