"""A dataset of pulses and a config so small that the real trainer finishes within seconds."""

from pathlib import Path
from typing import Any

import numpy as np

from ppgssl.config import load_config
from ppgssl.data.schema import Split, windows_table
from ppgssl.data.writer import DatasetWriter

FS_HZ = 25.0
WINDOW_SAMPLES = 128
TRAIN_WINDOWS = 24


def pulse_config(*overrides: str) -> dict[str, Any]:
    """Three steps an epoch."""
    config = load_config(
        "small",
        [
            "data.window_seconds=5.12",
            "data.fs_hz=25",
            "model.base_filters=4",
            "model.max_filters=16",
            "model.latent_dim=8",
            "model.bottleneck_dim=12",
            "model.segment_seconds=null",
            "model.num_blocks=3",
            "training.epochs=2",
            "training.batch_size=8",
            *overrides,
        ],
    )
    return config.model_dump(mode="json")


def make_pulses(folder: Path) -> None:
    """Sines of a heart's frequencies, with noise; the sines themselves as targets."""
    generator = np.random.default_rng(0)
    t_s = np.arange(WINDOW_SAMPLES) / FS_HZ
    splits: list[tuple[Split, int]] = [("train", TRAIN_WINDOWS), ("val", 8)]
    with DatasetWriter(folder, fs_hz=FS_HZ, window_samples=WINDOW_SAMPLES) as writer:
        for split, count in splits:
            rate_hz = generator.uniform(0.8, 2.0, (count, 1))
            clean = np.sin(2 * np.pi * rate_hz * t_s).astype(np.float32)
            noise = generator.normal(0, 0.1, clean.shape).astype(np.float32)
            rows = windows_table(
                signal=clean + noise,
                denoised=clean,
                recording_ids=[split] * count,
                subject_ids=[split] * count,
                start_s=np.arange(count) * 5.12,
                valid_s=np.full(count, 5.12),
                sqi=np.ones(count),
            )
            writer.write(rows, split)
        writer.finish()
