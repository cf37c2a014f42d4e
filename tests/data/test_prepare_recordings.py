"""Preparation of real recordings: how many windows, whose, and what is said of the odd ones."""

from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.cutting import PrepareSettings
from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.prepare import DatasetSummary, PrepareProgress, prepare
from ppgssl.data.recordings import find_recordings

pytestmark = pytest.mark.recordings


def silent(_: PrepareProgress) -> None:
    pass


def prepared(source: Path, out: Path, window_seconds: float) -> tuple[DatasetSummary, Dataset]:
    settings = PrepareSettings(window_seconds=window_seconds)
    refs = find_recordings([source]).refs
    summary = prepare(refs, out, settings, workers=1, progress=silent)
    return summary, open_dataset(out)


def test_53_bidmc_recordings_are_46_subjects_and_none_is_in_two_splits(
    recordings: Path, tmp_path: Path
):
    summary, dataset = prepared(recordings / "bidmc.parquet", tmp_path / "out", 120.0)

    splits = [dataset.split(name).metadata() for name in dataset.counts]
    subjects = [set(table.column("subject_id").to_pylist()) for table in splits]
    ids = [set(table.column("recording_id").to_pylist()) for table in splits]
    assert summary.recordings == 53
    assert sum(map(len, ids)) == len(set.union(*ids)) == 53
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 46
    assert all(subjects)


def test_heart_rates_of_bidmc_windows_agree_with_their_labels(recordings: Path, tmp_path: Path):
    _, dataset = prepared(recordings / "bidmc.parquet", tmp_path / "out", 60.0)

    val = dataset.split("val")
    batch = next(val.batches(len(val), seed=None))
    labels = np.array(val.metadata().column("hr_bpm").to_pylist(), dtype=float)
    spectrum = np.abs(np.fft.rfft(batch.denoised * np.hanning(dataset.window_samples)))
    measured = np.fft.rfftfreq(dataset.window_samples, 1 / dataset.fs_hz)[spectrum.argmax(axis=1)]
    assert np.nanmedian(np.abs(60 * measured - labels)) < 2.0


def test_bidmc_recordings_are_padded_to_ten_minutes(recordings: Path, tmp_path: Path):
    summary, dataset = prepared(recordings / "raw" / "bidmc_csv", tmp_path / "out", 600.0)

    metadata = dataset.split("train").metadata()
    assert summary.padded == 2
    assert metadata.column("valid_s").to_pylist() == pytest.approx([480.0], abs=0.1)


def test_wfdb_records_with_a_ppg_channel_are_prepared(recordings: Path, tmp_path: Path):
    summary, dataset = prepared(recordings / "raw" / "cinc2015_wfdb", tmp_path / "out", 10.0)

    num_rejected = sum(summary.rejected.values())
    assert summary.recordings == 7
    assert sum(dataset.counts.values()) + num_rejected == pytest.approx(7 * 31, abs=10)


def test_empatica_exports_are_prepared(recordings: Path, tmp_path: Path):
    summary, dataset = prepared(recordings / "raw" / "stress_predict_e4", tmp_path / "out", 600.0)

    assert dataset.window_samples == 75_000
    assert summary.subjects == {"train": 1, "val": 1, "test": 0}
    assert sum(dataset.counts.values()) + sum(summary.rejected.values()) >= 6
