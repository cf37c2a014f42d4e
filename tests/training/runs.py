"""A dataset of pulses and a model small enough to train within a test."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

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
        self.notes: list[str] = []

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

    def note(self, message: str) -> None:
        self.notes.append(message)


def stop_after(steps: int) -> Callable[[], bool]:
    """A `should_stop` that lets `steps` steps through."""
    asked = iter(range(steps))
    return lambda: next(asked, None) is None


def history(run: Path) -> list[dict[str, Any]]:
    """The points of a run's history."""
    return pq.read_table(run / "last/history.parquet").to_pylist()


def assert_same_run(run: Path, other: Path) -> None:
    """The same losses and weights, to rounding."""
    points, others = history(run), history(other)
    assert len(points) == len(others)
    for point, expected in zip(points, others, strict=True):
        assert {n: v for n, v in point.items() if not isinstance(v, float)} == {
            n: v for n, v in expected.items() if not isinstance(v, float)
        }
        figures = {name: v for name, v in expected.items() if isinstance(v, float)}
        assert {name: point[name] for name in figures} == pytest.approx(figures, rel=1e-4, abs=1e-5)
    weights = load_file(run / "last/model.safetensors")
    for name, value in load_file(other / "last/model.safetensors").items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-5, msg=name)
