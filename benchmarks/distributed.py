"""Two processes against one: the same losses, and how much sooner.

Every process has one thread, so two have twice the cores of one. Timed are the epochs after the
first, validation included, without the start of the processes.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Figure
from benchmarks.windows import FS_HZ, SHORT, windows
from ppgssl.config import Config, load_config
from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.schema import Split, windows_table
from ppgssl.data.writer import DatasetWriter
from ppgssl.training.launch import train_on_devices
from ppgssl.training.progress import LossPoint, Silent

WINDOWS: dict[Split, int] = {"train": 256, "val": 32}
EPOCHS = 2
STEPS_COMPARED = 8


class Clock(Silent):
    """Notes the training losses, and when each epoch ended."""

    def __init__(self) -> None:
        self.totals: list[float] = []
        self.epoch_ends: list[float] = []

    def losses(self, points: Sequence[LossPoint]) -> None:
        """A validation ends an epoch."""
        for point in points:
            if point.split == "train":
                self.totals.append(point.values["total"])
            else:
                self.epoch_ends.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """Of the epochs after the first."""
        return self.epoch_ends[-1] - self.epoch_ends[0]


def measure() -> Iterator[Figure]:
    """The ten-second preset, in steps of four micro-batches."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = write_dataset(root / "pulses")
        torch.set_num_threads(2)
        otherwise_rounded = run(dataset, root / "threads", processes=1)
        torch.set_num_threads(1)
        one = run(dataset, root / "one", processes=1)
        two = run(dataset, root / "two", processes=2)
    torch.set_num_threads(threads)
    rounding = furthest_apart(otherwise_rounded, one)
    yield Figure(
        "two processes against one, largest relative difference of a step's loss",
        furthest_apart(two, one),
        goal="that of rounding",
        note=f"of the first {STEPS_COMPARED} steps; two threads against one: {rounding:.1e}",
    )
    trained = WINDOWS["train"] * (EPOCHS - 1)
    yield Figure(
        "two processes against one, efficiency (speed-up / 2)",
        one.seconds / two.seconds / 2,
        note=f"{trained / one.seconds:.1f} and {trained / two.seconds:.1f} windows/s, "
        "a thread each",
    )


def furthest_apart(one: Clock, other: Clock) -> float:
    """The largest relative difference of the first steps' losses; later ones only amplify it."""
    pairs = np.array([one.totals, other.totals])[:, :STEPS_COMPARED]
    return float(np.abs(pairs[0] / pairs[1] - 1).max())


def run(dataset: Dataset, out: Path, *, processes: int) -> Clock:
    """Train on so many processes."""
    clock = Clock()
    train_on_devices(settings(processes), dataset, out, reporter=clock)
    return clock


def settings(processes: int) -> Config:
    """The reference width on windows of ten seconds."""
    overrides = [
        "device=cpu",
        f"training.devices={processes}",
        f"training.epochs={EPOCHS}",
        "training.batch_size=8",
        "training.accumulation_steps=4",
        "training.trackers=[]",
    ]
    return load_config("ten_seconds", overrides)


def write_dataset(out: Path) -> Dataset:
    """Simulated pulses, the same as input and target."""
    with DatasetWriter(out, fs_hz=FS_HZ, window_samples=SHORT) as writer:
        for split, count in WINDOWS.items():
            pulses = windows(count, SHORT)
            rows = windows_table(
                signal=pulses,
                denoised=pulses,
                recording_ids=[split] * count,
                subject_ids=[split] * count,
                start_s=np.arange(count) * SHORT / FS_HZ,
                valid_s=np.full(count, SHORT / FS_HZ),
                sqi=np.ones(count),
            )
            writer.write(rows, split)
        writer.finish()
    return open_dataset(out)
