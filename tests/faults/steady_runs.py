"""A runner that computes without a pause and tells a thousand losses a second.

Every point says how many rounds of work are done, and the processor time they took: what slows the
run down shows in its own history.

seconds         how long it runs
"""

import time
from collections.abc import Callable

import numpy as np

from ppgssl.training.progress import LossPoint, Progress, Reporter, RunPlan
from worker.order import Order

POINTS_PER_S = 1000
SIZE = 96  # a round of work takes about a tenth of a millisecond


def run(order: Order, reporter: Reporter, should_stop: Callable[[], bool]) -> str:
    """Work for so many seconds, told point by point."""
    steps = int(order.config["seconds"] * POINTS_PER_S)
    reporter.started(RunPlan(1, steps, {"train": steps}, "cpu", "float32", 0, 0))
    matrix = np.full((SIZE, SIZE), 1 / SIZE, np.float32)
    began, step, rounds = time.perf_counter(), 0, 0
    while step < steps and not should_stop():
        matrix = matrix @ matrix
        rounds += 1
        due = min(steps, int((time.perf_counter() - began) * POINTS_PER_S))
        if due - step >= POINTS_PER_S // 100 or due == steps:
            reporter.losses([point(number, rounds) for number in range(step + 1, due + 1)])
            reporter.progress(Progress(1, 1, due, steps, float("inf"), None))
            step = due
    return "completed" if step == steps else "stopped"


def point(step: int, rounds: int) -> LossPoint:
    """As many values as a real point has."""
    values = dict.fromkeys(("total", "mse", "ssim", "fft", "grad_norm"), 1 / step)
    work = {"rounds": float(rounds), "cpu_s": time.process_time(), "wall_s": time.perf_counter()}
    return LossPoint(step, 1, "train", {**values, **work})
