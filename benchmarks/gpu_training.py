"""Training on a GPU: against its floor, a plain loop, and what the reference expects of a T4.

And the trainer with its windows on the device, against the trainer that reads them.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.gpu_machine import PRECISIONS, Machine, timed
from benchmarks.plain_loop import plain_steps
from benchmarks.rounds import processes_in_turn
from benchmarks.timing import Figure, ratio
from benchmarks.training import write_dataset
from benchmarks.training_step import TrainingStep
from benchmarks.windows import FS_HZ, LONG
from ppgssl.config import load_config

PLAIN_BATCH = 8
STEP_WINDOWS = 32
ROUNDS = 10
FED_ROUNDS, STEPS_A_ROUND = 5, 10
REFERENCE_WINDOWS, REFERENCE_EPOCHS = 4_133, 50
PRESETS = {"as_drawn": "the reference as drawn", "ssl_pretraining": "the default"}


def measure_training(
    machine: Machine, *, samples: int = LONG, rounds: int = ROUNDS, overrides: Sequence[str] = ()
) -> Iterator[Figure]:
    """A step over 32 windows of ten minutes, in one micro-batch and in several.

    Args:
        machine: Where, and what it was measured to do.
        samples: Of a window.
        rounds: Steps that are timed.
        overrides: Of the presets' keys.
    """
    precision = "fp16" if machine.device.type == "cuda" else "fp32"
    plain = plain_windows_per_s(machine, precision, samples, rounds, overrides)
    yield Figure(f"plain loop, {PLAIN_BATCH} x {samples:,}, {precision}", plain, "windows/s")
    for preset, name in PRESETS.items():
        for micro_batch in (PLAIN_BATCH, STEP_WINDOWS):
            size = f"{name}, micro-batch {micro_batch} x {samples:,}, {precision}"
            settings = [*overrides, f"training.batch_size={micro_batch}"]
            step = TrainingStep(
                preset,
                settings,
                samples=samples,
                device=machine.device,
                amp_dtype=PRECISIONS[precision],
            )
            yield from measure_step(step, micro_batch, machine, precision, size, plain, rounds)


def measure_step(
    step: TrainingStep,
    micro_batch: int,
    machine: Machine,
    precision: str,
    size: str,
    plain: float,
    rounds: int,
) -> Iterator[Figure]:
    """One way to train: its rate, its share of the floor, and how long the reference run takes."""
    by_products = step.flops() / machine.flops_per_s[precision]
    by_bytes = step.bytes_moved() / machine.bytes_per_s
    floor = max(by_products, by_bytes)
    anything = torch.zeros((), device=machine.device)
    taken = statistics.median(timed(lambda _: step(), anything) for _ in range(rounds))
    rate = micro_batch / taken
    bound = "products" if by_products > by_bytes else "bytes"
    yield Figure(
        f"training, {size}: against the plain loop", rate / plain, goal=">= 4", note=f"{rate:.1f}/s"
    )
    yield Figure(
        f"training, {size}: share of the floor's rate",
        floor / taken,
        goal=">= 0.5",
        note=f"floor {1e3 * floor:.1f} ms by {bound}",
    )
    yield Figure(
        f"training, {size}: {REFERENCE_EPOCHS} epochs of {REFERENCE_WINDOWS:,} windows",
        REFERENCE_EPOCHS * REFERENCE_WINDOWS / rate / 60,
        "minutes",
        goal="<= 3",
        note="reckoned from the step",
    )


def measure_feed(
    device: torch.device,
    *,
    samples: int = LONG,
    rounds: int = FED_ROUNDS,
    steps: int = STEPS_A_ROUND,
    overrides: Sequence[str] = (),
) -> Figure:
    """The trainer with its windows on the device against the same one fed from a dataset folder.

    Args:
        device: Where to train.
        samples: Of a window.
        rounds: That are timed, after one in which the windows are copied.
        steps: Of a round.
        overrides: Of the preset's keys.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "windows"
        write_dataset(data, PLAIN_BATCH * steps * (rounds + 2), samples)
        settings = [
            f"device={device}",
            f"data.window_seconds={samples / FS_HZ}",
            f"training.batch_size={PLAIN_BATCH}",
            *overrides,
        ]
        command = ["benchmarks.trainer_rounds", "ssl_pretraining", str(data), str(steps), *settings]
        works = {
            source: [*command, f"data.device_cache={cached}"]
            for source, cached in (("disk", "false"), ("device", "true"))
        }
        taken = processes_in_turn(works, rounds)
    per_s = {name: PLAIN_BATCH * steps / statistics.median(taken[name]) for name in works}
    return Figure(
        f"training, {PLAIN_BATCH} x {samples:,}: windows/s fed from the device against from disk",
        ratio(taken["disk"], taken["device"]),
        note=f"{per_s['device']:.1f}/s against {per_s['disk']:.1f}/s",
    )


def plain_windows_per_s(
    machine: Machine, precision: str, samples: int, rounds: int, overrides: Sequence[str]
) -> float:
    """Of `benchmarks/plain_loop.py`; its loss is looked at in every step, so no wait is needed."""
    config = load_config("as_drawn", [*overrides, f"training.batch_size={PLAIN_BATCH}"])
    steps = plain_steps(config, samples, machine.device, workers=2, amp=PRECISIONS[precision])
    anything = torch.zeros((), device=machine.device)
    taken = [timed(lambda _: next(steps), anything) for _ in range(rounds)]
    steps.close()
    return PLAIN_BATCH / statistics.median(taken)
