"""Where a run is: what a resume needs beside weights, optimiser and random generators."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ppgssl.config import TrainingConfig
from ppgssl.training.progress import Best


@dataclass(slots=True)
class RunState:
    """The position of a run and what it has reached so far.

    Attributes:
        epoch: Finished epochs.
        step: Finished optimiser steps of the whole run.
        batches_done: Micro-batches of the current epoch that have been trained on.
        val_loss: Of the newest validation, None before the first.
        best: The validation with the lowest loss so far.
        epochs_since_best: Validations since then.
        warned: Kinds of warnings that have been given.
        collapse: What the newest validation found wrong, empty where it found nothing.
    """

    epoch: int = 0
    step: int = 0
    batches_done: int = 0
    val_loss: float | None = None
    best: Best | None = None
    epochs_since_best: int = 0
    warned: list[str] = field(default_factory=list)
    collapse: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunState":
        """The inverse of `to_dict`."""
        fields: dict[str, Any] = dict(values)
        fields["best"] = Best(**values["best"]) if values["best"] else None
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, text and lists."""
        return asdict(self)

    def finish_step(self, micro_batches: int) -> None:
        """Count a step over so many micro-batches."""
        self.step += 1
        self.batches_done += micro_batches

    def finish_epoch(self, val_loss: float) -> bool:
        """Count an epoch; True where its validation is the best so far."""
        self.epoch += 1
        self.batches_done = 0
        self.val_loss = val_loss
        if self.best is not None and val_loss >= self.best.val_loss:
            self.epochs_since_best += 1
            return False
        self.best = Best(self.epoch, self.step, val_loss)
        self.epochs_since_best = 0
        return True

    def stop_reason(self, training: TrainingConfig) -> str | None:
        """Why no further epoch follows, or None."""
        if self.epoch >= training.epochs:
            return "completed"
        if self.epochs_since_best >= training.early_stopping_patience:
            return "early_stopping"
        return None
