"""What a run may tell its worker: all that the trainer tells, and stages instead of epochs."""

from dataclasses import dataclass
from typing import Protocol

from ppgssl.training.progress import Reporter


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a run is that goes through stages: `step` of `steps` are done, `name` is under way."""

    name: str
    step: int
    steps: int
    windows_per_s: float | None = None
    eta_s: float | None = None


class RunReporter(Reporter, Protocol):
    """Listens to a run of any kind."""

    def stage(self, stage: Stage) -> None:
        """The run moved on."""
        ...
