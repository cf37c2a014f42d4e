"""What a run tells to whoever watches it. The trainer knows this protocol and no listener."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class LossPoint:
    """Losses of one training step, or of one validation after an epoch.

    `values` of the split `train`: total and its parts, learning_rate, grad_norm. Of `val`: total
    and its parts, and the health figures. Steps and epochs count from 1.
    """

    step: int
    epoch: int
    split: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run is about to do."""

    epochs: int
    steps_per_epoch: int
    windows: dict[str, int]
    device: str
    precision: str
    parameters: int
    resumed_from_step: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. `steps` counts the whole run; `eta_s` is None before the first estimate.

    The device's figures are those of `training/device_load.py`.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    windows_per_s: float
    eta_s: float | None
    learning_rate: float | None = None
    device_memory_bytes: int | None = None
    device_utilisation: float | None = None


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint that can now be read under `name`: best, last or epoch-N.

    `epoch` counts finished epochs; `val_loss` is the newest validation's, None before the first.
    """

    name: str
    step: int
    epoch: int
    val_loss: float | None


@dataclass(frozen=True, slots=True)
class Best:
    """The validation with the lowest loss so far."""

    epoch: int
    step: int
    val_loss: float


@runtime_checkable
class Reporter(Protocol):
    """Listens to a run; called from the run's own thread, about once a second."""

    def started(self, plan: RunPlan) -> None:
        """The first step is about to be computed."""
        ...

    def losses(self, points: Sequence[LossPoint]) -> None:
        """New points of the loss history, in order; each is told once."""
        ...

    def progress(self, progress: Progress) -> None:
        """The run moved on."""
        ...

    def checkpoint(self, saved: CheckpointSaved) -> None:
        """A checkpoint was published."""
        ...

    def warning(self, message: str) -> None:
        """Something the user should know; the run goes on."""
        ...

    def note(self, message: str) -> None:
        """Something that takes a while, or was decided; there is nothing to do about it."""
        ...


class Silent:
    """A reporter that tells nobody."""

    def started(self, plan: RunPlan) -> None:
        """Ignore."""

    def losses(self, points: Sequence[LossPoint]) -> None:
        """Ignore."""

    def progress(self, progress: Progress) -> None:
        """Ignore."""

    def checkpoint(self, saved: CheckpointSaved) -> None:
        """Ignore."""

    def warning(self, message: str) -> None:
        """Ignore."""

    def note(self, message: str) -> None:
        """Ignore."""
