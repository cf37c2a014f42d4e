"""Small dataset folders whose every value is known: window k of a split is filled with its id."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.data.schema import Split, windows_table
from ppgssl.data.writer import DatasetWriter

WINDOW_SAMPLES = 50
MB_PER_WINDOW = 2 * 4 * WINDOW_SAMPLES / 1e6


def rows_of(first_id: int, num_windows: int, subject: str) -> pa.Table:
    """Windows filled with `first_id`, `first_id + 1`, ...; the denoised ones with its negative."""
    ids = np.arange(first_id, first_id + num_windows, dtype=np.float32)
    signal = np.repeat(ids[:, None], WINDOW_SAMPLES, axis=1)
    return windows_table(
        signal=signal,
        denoised=-signal,
        recording_ids=[f"{subject}-r1"] * num_windows,
        subject_ids=[subject] * num_windows,
        start_s=10.0 * np.arange(num_windows),
        valid_s=np.full(num_windows, 10.0),
        sqi=np.full(num_windows, 0.9),
        labels=pa.table({"hr_bpm": (60.0 + ids).tolist(), "alarm": ["none"] * num_windows}),
    )


def make_dataset(
    out: Path, counts: Mapping[Split, int] | None = None, *, windows_per_group: int = 4
) -> Path:
    """A dataset folder with few windows in a row group, so that its order can be tested."""
    writer = DatasetWriter(
        out,
        fs_hz=5.0,
        window_samples=WINDOW_SAMPLES,
        labels={"hr_bpm": pa.float64(), "alarm": pa.string()},
        row_group_mb=windows_per_group * MB_PER_WINDOW * 1.001,
    )
    with writer:
        first_id = 0
        for split, count in (counts or {"train": 30, "val": 6}).items():
            writer.write(rows_of(first_id, count, f"subject-{split}"), split)
            first_id += count
        writer.finish()
    return out


def make_older_layout(
    folder: Path, *, num_windows: int = 6, single_array: bool, missing_denoised: int = 0
) -> Path:
    """The older layout; window k is filled with k, its denoised signal with -k."""
    (folder / "denoised").mkdir(parents=True)
    signal = np.repeat(np.arange(num_windows, dtype=np.float32)[:, None], WINDOW_SAMPLES, axis=1)
    metadata = {
        "global_segment_idx": list(range(num_windows)),
        "subject_id": [f"s{k // 2}" for k in range(num_windows)],
        "fs_hz": [5.0] * num_windows,
        "split": ["train"] * (num_windows - 2) + ["val", "test"],
    }
    pq.write_table(pa.table(metadata), folder / "metadata.parquet")
    if single_array:
        np.save(folder / "signals.npy", signal)
    else:
        (folder / "segments").mkdir()
        for k in range(num_windows):
            np.save(folder / "segments" / f"segment_{k:06d}.npy", signal[k])
    index = {str(k): f"denoised/{k}.npy" for k in range(num_windows)}
    (folder / "denoised_index.json").write_text(json.dumps(index))
    for k in range(missing_denoised, num_windows):
        np.save(folder / "denoised" / f"{k}.npy", -signal[k])
    return folder
