"""A runner that trains nothing, for jobs of the kind `fake`: the config says how it behaves.

steps           how many steps, each worth the loss 1 / step
step_s          seconds per step
die_at          step at which the process kills itself with SIGKILL, in the first attempt only
raise_at        step at which it raises `error`
deaf            SIGTERM is not heard
chatty          every step writes a line to the log

As a real run it keeps a checkpoint `last` after every tenth step and when it is stopped, and
continues from the one that the job table has.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from ppgssl.errors import (
    CheckpointWriteError,
    ConfigError,
    DatasetError,
    NonFiniteLossError,
    OutOfMemoryError,
    SelfCheckError,
)
from ppgssl.training.progress import CheckpointSaved, LossPoint, Progress, Reporter, RunPlan
from worker.order import Order

STATE_BYTES = 10_000

ERRORS = {
    "dataset": DatasetError("the dataset is damaged; prepare it anew"),
    "config": ConfigError("training.epochs: no"),
    "nan": NonFiniteLossError("step 5: the loss is not finite"),
    "self-check": SelfCheckError("one batch cannot be learnt"),
    "memory": MemoryError("no memory"),
    "one window": OutOfMemoryError("memory does not hold one window"),
    "disk": CheckpointWriteError("no space left on device"),
    "bug": KeyError("typo"),
}


def run(order: Order, reporter: Reporter, should_stop: Callable[[], bool]) -> str:
    """Count steps from the last checkpoint to the end."""
    config, out = order.config, Path(order.out)
    steps = config["steps"]
    step = read_step(order)
    print(f"attempt {order.attempt} goes on after step {step}", flush=True)  # noqa: T201
    reporter.started(RunPlan(1, steps, {"train": steps}, "cpu", "float32", 0, step))
    while step < steps:
        if should_stop() and not config.get("deaf"):
            save(out, step, reporter, "last")
            return "stopped"
        step += 1
        misbehave(order, step)
        time.sleep(config.get("step_s", 0.0))
        if config.get("chatty"):
            print(f"step {step}", flush=True)  # noqa: T201
        reporter.losses([point(step)])
        reporter.progress(Progress(1, 1, step, steps, float("inf"), None))
        if step % 10 == 0:
            save(out, step, reporter, "last")
    save(out, step, reporter, "best")
    reporter.warning("that was quick")
    return "completed"


def point(step: int) -> LossPoint:
    """The loss of a step, whoever computes it."""
    return LossPoint(step, 1, "train", {"total": 1 / step})


def misbehave(order: Order, step: int) -> None:
    """Die or fail where the config says so."""
    if step == order.config.get("die_at") and order.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if step == order.config.get("raise_at"):
        raise ERRORS[order.config["error"]]


def read_step(order: Order) -> int:
    """The step of the checkpoint to continue from; 0 without one."""
    if order.resume_from is None:
        return 0
    return json.loads((Path(order.resume_from) / "state.json").read_text())["step"]


def save(out: Path, step: int, reporter: Reporter, name: str) -> None:
    """Write a checkpoint, swap its name to it, and tell."""
    folder = out / "steps" / f"{step:08d}-{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_state(folder / "state.json", step)
        swap(out / name, folder)
    except OSError as error:
        raise CheckpointWriteError(f"cannot write the checkpoint of step {step}") from error
    reporter.checkpoint(CheckpointSaved(name, step, 1, 1 / max(step, 1)))


def write_state(file: Path, step: int) -> None:
    """All that a fake run has to remember."""
    file.write_text(json.dumps({"step": step, "weights": "0" * STATE_BYTES}))


def swap(link: Path, folder: Path) -> None:
    """Let the name mean this folder, from one moment to the next."""
    fresh = link.with_name(f".{link.name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder)
    fresh.replace(link)
