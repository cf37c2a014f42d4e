"""Runs whose process dies by SIGKILL at a named point, in the job's first attempt only.

mid-step        the gradient is there, the weights have not moved
mid-checkpoint  half of a file is written
before naming   the checkpoint is written, and nothing points at it
"""

import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_runs

from ppgssl.training.progress import Reporter
from worker.order import Order
from worker.reporter import RunReporter

POINT = "PPGSSL_TEST_DIE_AT"
POINTS = ("mid-step", "mid-checkpoint", "before naming")


def die(*_: object) -> None:
    """As of a power cut: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def dies_in_call(
    module: ModuleType, name: str, number: int, *, last_words: Callable[..., None] = die
) -> None:
    """Let the module's function die in its n-th call, after it has said these words."""
    real, calls = getattr(module, name), count(1)

    def mortal(*arguments: Any, **named: Any) -> Any:
        if next(calls) == number:
            last_words(*arguments)
            die()
        return real(*arguments, **named)

    setattr(module, name, mortal)


def write_half_a_state(file: Path, step: int) -> None:
    file.write_text(f'{{"st{step}')


def write_half(file: Path, content: bytes) -> None:
    file.write_bytes(content[: len(content) // 2])


def fake(order: Order, reporter: Reporter, should_stop: Callable[[], bool]) -> str:
    """The fake run; it has checkpoints after the steps 10 and 20, and dies between or in them."""
    match os.environ[POINT] if order.attempt == 1 else None:
        case "mid-step":
            dies_in_call(fake_runs, "misbehave", 15)
        case "mid-checkpoint":
            dies_in_call(fake_runs, "write_state", 2, last_words=write_half_a_state)
        case "before naming":
            dies_in_call(fake_runs, "swap", 2)
    return fake_runs.run(order, reporter, should_stop)


def pretrain(order: Order, reporter: RunReporter, should_stop: Callable[[], bool]) -> str:
    """The real trainer; it dies in its second epoch or in that epoch's checkpoint."""
    import torch

    from ppgssl.training import checkpoint
    from worker.pretrain import run

    first = len(checkpoint.FILES)
    match os.environ[POINT] if order.attempt == 1 else None:
        case "mid-step":
            dies_in_call(torch.nn.utils, "clip_grad_norm_", 5)  # three steps an epoch
        case "mid-checkpoint":
            dies_in_call(checkpoint, "_write_through", first + 3, last_words=write_half)
        case "before naming":
            dies_in_call(checkpoint, "_sync_folder", 2)
    return run(order, reporter, should_stop)
