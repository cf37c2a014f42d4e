"""A dataset of pulses and a model small enough to train within a test."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ppgssl.config import Config, load_config
from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.schema import Split, windows_table
from ppgssl.data.writer import DatasetWriter
from ppgssl.training.progress import CheckpointSaved, LossPoint, Progress, RunPlan

FS_HZ = 25.0
WINDOW_SAMPLES = 128
AS_DRAWN = ("model.pooling=mean", "model.pose_channels=0", "model.segment_seconds=null")


def tiny_config(*overrides: str) -> Config:
    return load_config(
        "small",
        [
            "data.window_seconds=5.12",
            "data.fs_hz=25",
            "data.num_workers=0",
            "model.base_filters=4",
            "model.max_filters=16",
            "model.latent_dim=8",
            "model.bottleneck_dim=12",
            "model.segment_seconds=null",
            "model.num_blocks=3",
            "training.epochs=2",
            "training.batch_size=4",
            "training.accumulation_steps=2",
            "training.checkpoint_every_epochs=2",
            "device=cpu",
            *overrides,
        ],
    )


def pulses(num_windows: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    t = np.arange(WINDOW_SAMPLES) / FS_HZ
    rate_hz = generator.uniform(0.8, 2.0, size=(num_windows, 1))
    phase = generator.uniform(0, 2 * np.pi, size=(num_windows, 1))
    return np.sin(2 * np.pi * rate_hz * t + phase).astype(np.float32)


def pulse_dataset(
    out: Path, *, train: int = 22, val: int = 6, windows_per_group: int = 3
) -> Dataset:
    """Noisy pulses and the pulses themselves as targets; 22 windows leave an unfinished group."""
    per_window_mb = 2 * 4 * WINDOW_SAMPLES / 1e6
    writer = DatasetWriter(
        out,
        fs_hz=FS_HZ,
        window_samples=WINDOW_SAMPLES,
        row_group_mb=windows_per_group * per_window_mb * 1.001,
    )
    splits: list[tuple[Split, int]] = [("train", train), ("val", val)]
    with writer:
        for number, (split, count) in enumerate(splits):
            if count:
                clean = pulses(count, seed=number)
                noise = np.random.default_rng(number + 10).normal(0, 0.1, clean.shape)
                rows = windows_table(
                    signal=(clean + noise).astype(np.float32),
                    denoised=clean,
                    recording_ids=[f"{split}-r"] * count,
                    subject_ids=[f"subject-{split}"] * count,
                    start_s=np.arange(count) * 5.12,
                    valid_s=np.full(count, 5.12),
                    sqi=np.ones(count),
                )
                writer.write(rows, split)
        writer.finish()
    return open_dataset(out)


class Recorded:
    """A reporter that remembers everything it was told."""

    def __init__(self) -> None:
        self.plans: list[RunPlan] = []
        self.points: list[LossPoint] = []
        self.checkpoints: list[CheckpointSaved] = []
        self.warnings: list[str] = []

    def started(self, plan: RunPlan) -> None:
        self.plans.append(plan)

    def losses(self, points: Sequence[LossPoint]) -> None:
        self.points.extend(points)

    def progress(self, progress: Progress) -> None:
        pass

    def checkpoint(self, saved: CheckpointSaved) -> None:
        self.checkpoints.append(saved)

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def stop_after(steps: int) -> Callable[[], bool]:
    """A `should_stop` that lets `steps` steps through."""
    asked = iter(range(steps))
    return lambda: next(asked, None) is None
