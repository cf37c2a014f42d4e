"""Collects the losses of steps on the device and fetches them about once a second.

Reading a number from a GPU waits for everything queued before it, so steps hand over tensors and
one transfer fetches them together.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ppgssl.errors import NonFiniteLossError
from ppgssl.training.history import History
from ppgssl.training.progress import LossPoint, Reporter
from ppgssl.training.step import StepResult

FLUSH_SECONDS = 1.0
FLUSH_STEPS = 256


@dataclass(frozen=True, slots=True)
class PendingStep:
    """A step whose losses still lie on the device."""

    step: int
    epoch: int
    windows: int
    learning_rate: float
    result: StepResult


class Recorder:
    """Appends to the history and tells the reporter, every point once and in order."""

    def __init__(self, history: History, reporter: Reporter) -> None:
        self._history = history
        self._reporter = reporter
        self._pending: list[PendingStep] = []
        self._flushed_at = time.monotonic()

    def restart_clock(self) -> None:
        """Do not count the time since the last flush as training time."""
        self._flushed_at = time.monotonic()

    def add(self, step: PendingStep) -> None:
        """Keep a step's losses until the next flush."""
        self._pending.append(step)

    def is_due(self) -> bool:
        """Whether a flush is worth the wait for the device."""
        waited = time.monotonic() - self._flushed_at
        return waited >= FLUSH_SECONDS or len(self._pending) >= FLUSH_STEPS

    def flush(self) -> float | None:
        """Fetch pending losses, record them, and return windows per second since the last flush.

        None when nothing was pending.

        Raises:
            NonFiniteLossError: A loss, or the gradient of a step that was applied, is inf or nan.
        """
        if not self._pending:
            return None
        pending, self._pending = self._pending, []
        names = [*pending[0].result.losses, "grad_norm"]
        rows: list[list[float]] = torch.stack(
            [
                torch.stack([*p.result.losses.values(), p.result.grad_norm, p.result.applied])
                for p in pending
            ]
        ).tolist()  # the one wait for the device
        self.tell([_point(p, names, row) for p, row in zip(pending, rows, strict=True)])
        elapsed, self._flushed_at = time.monotonic() - self._flushed_at, time.monotonic()
        return sum(p.windows for p in pending) / max(elapsed, 1e-9)

    def tell(self, points: Sequence[LossPoint]) -> None:
        """Record points that are already on the host."""
        self._history.extend(points)
        self._reporter.losses(points)


def _point(pending: PendingStep, names: list[str], fetched: list[float]) -> LossPoint:
    *row, applied = fetched
    values = dict(zip(names, row, strict=True))
    checked = row if applied else row[:-1]  # an overflow that was skipped is fine
    if not np.isfinite(checked).all():
        raise NonFiniteLossError(
            f"step {pending.step}: the loss or its gradient is not finite ({values}); lower "
            "training.learning_rate, or use training.precision=fp32"
        )
    values["learning_rate"] = pending.learning_rate
    return LossPoint(pending.step, pending.epoch, "train", values)
