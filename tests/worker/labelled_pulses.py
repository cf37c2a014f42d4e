"""A labelled dataset so small that a real evaluation of it finishes within seconds."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from ppgssl.data.schema import windows_table
from ppgssl.data.writer import DatasetWriter

FS_HZ = 125.0
WINDOW_SECONDS = 10.0
SUBJECTS = 10
WINDOWS_EACH = 4


def make_labelled_pulses(folder: Path, *, windows_each: int = WINDOWS_EACH) -> None:
    """Sines of a known rate, which is the label `hr_bpm`; four windows of each of ten subjects."""
    generator = np.random.default_rng(0)
    count = SUBJECTS * windows_each
    hr_bpm = generator.uniform(50, 110, count)
    t_s = np.arange(round(WINDOW_SECONDS * FS_HZ)) / FS_HZ
    clean = np.sin(2 * np.pi * hr_bpm[:, None] / 60 * t_s).astype(np.float32)
    noise = generator.normal(0, 0.05, clean.shape).astype(np.float32)
    subjects = [f"subject-{number // windows_each}" for number in range(count)]
    rows = windows_table(
        signal=clean + noise,
        denoised=clean,
        recording_ids=subjects,
        subject_ids=subjects,
        start_s=np.tile(np.arange(windows_each) * WINDOW_SECONDS, SUBJECTS),
        valid_s=np.full(count, WINDOW_SECONDS),
        sqi=np.ones(count),
        labels=pa.table({"hr_bpm": hr_bpm}),
    )
    labels = {"hr_bpm": pa.float64()}
    window_samples = clean.shape[1]
    with DatasetWriter(folder, fs_hz=FS_HZ, window_samples=window_samples, labels=labels) as writer:
        writer.write(rows, "train")
        writer.finish()
