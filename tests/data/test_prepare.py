"""Recordings become windows: which ones, what is in them, and what is said of the others."""

import errno
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_recordings import FS_HZ, MadeRef, made_ref, many_refs, pulse

from ppgssl.data import cutting
from ppgssl.data.batch import WindowBatch
from ppgssl.data.cutting import PrepareSettings
from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.labels import Span, label_table
from ppgssl.data.prepare import DatasetSummary, PrepareProgress, prepare
from ppgssl.data.recordings import LabelTrack, ReadOptions
from ppgssl.errors import ConfigError, DatasetError, RunError

TEN_SECONDS = PrepareSettings(window_seconds=10.0)


def silent(_: PrepareProgress) -> None:
    pass


def prepared(
    refs: Sequence[MadeRef],
    out: Path,
    settings: PrepareSettings = TEN_SECONDS,
    *,
    workers: int = 1,
) -> DatasetSummary:
    return prepare(refs, out, settings, workers=workers, progress=silent)


def all_windows(dataset: Dataset) -> tuple[WindowBatch, pa.Table]:
    """Windows of the train split in stored order, with their metadata."""
    train = dataset.split("train")
    return next(train.batches(len(train), seed=None)), train.metadata()


def dominant_bpm(x: npt.NDArray[np.float32], fs_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft((x - x.mean()) * np.hanning(len(x)), 2**18))
    return 60 * float(np.fft.rfftfreq(2**18, 1 / fs_hz)[spectrum.argmax()])


@pytest.mark.parametrize("fs_hz", [64.0, 125.0, 250.0])
def test_a_pulse_of_72_bpm_still_has_72_bpm_after_preparation(tmp_path: Path, fs_hz: float):
    ref = made_ref(pulse(60, bpm=72.0, fs_hz=fs_hz), fs_hz=fs_hz)

    prepared([ref], tmp_path / "out", PrepareSettings(window_seconds=30.0))

    batch, _ = all_windows(open_dataset(tmp_path / "out"))
    assert batch.signal.shape == (2, 3750)
    for window in (*batch.signal, *batch.denoised):
        assert dominant_bpm(window, 125.0) == pytest.approx(72.0, abs=0.2)


def test_windows_keep_the_recordings_unit_and_the_denoised_ones_lose_the_level(tmp_path: Path):
    prepared([made_ref(pulse(40))], tmp_path / "out")

    batch, _ = all_windows(open_dataset(tmp_path / "out"))

    assert batch.signal.mean() == pytest.approx(100, abs=0.1)
    assert batch.denoised.mean() == pytest.approx(0, abs=0.1)
    assert batch.denoised.std() == pytest.approx(batch.signal.std(), rel=0.25)


def test_windows_start_every_hop_and_end_with_the_recording(tmp_path: Path):
    settings = PrepareSettings(window_seconds=10.0, hop_seconds=5.0)

    summary = prepared([made_ref(pulse(33))], tmp_path / "out", settings)

    _, metadata = all_windows(open_dataset(tmp_path / "out"))
    assert metadata.column("start_s").to_pylist() == [0.0, 5.0, 10.0, 15.0, 20.0]
    assert set(metadata.column("valid_s").to_pylist()) == {10.0}
    assert summary.counts == {"train": 5, "val": 0, "test": 0}
    assert summary.rejected == {}


def test_clean_windows_score_better_than_noise(tmp_path: Path):
    noise = np.random.default_rng(0).normal(size=round(20 * FS_HZ)).astype(np.float32)
    ref = made_ref(np.concatenate([pulse(20), 100 + noise]))

    prepared([ref], tmp_path / "out")

    _, metadata = all_windows(open_dataset(tmp_path / "out"))
    sqi = metadata.column("sqi").to_pylist()
    assert min(sqi[:2]) > max(sqi[2:])


def test_rejected_windows_are_counted_by_reason(tmp_path: Path):
    x = pulse(60)
    second = round(FS_HZ)
    x[12 * second : 15 * second] = np.nan
    x[20 * second : 30 * second] = 5.0
    x[30 * second : 40 * second] = np.clip(x[30 * second : 40 * second], 99.9, 100.1)

    summary = prepared([made_ref(x), made_ref(pulse(4), "short")], tmp_path / "out")

    _, metadata = all_windows(open_dataset(tmp_path / "out"))
    assert summary.rejected == {"flat": 1, "missing": 1, "saturated": 1, "too_short": 1}
    assert metadata.column("start_s").to_pylist() == [0.0, 40.0, 50.0]


def test_a_short_gap_is_filled(tmp_path: Path):
    x = pulse(20)
    x[100:120] = np.nan  # 0.3 s

    summary = prepared([made_ref(x)], tmp_path / "out")

    batch, _ = all_windows(open_dataset(tmp_path / "out"))
    assert summary.counts["train"] == 2
    assert np.isfinite(batch.signal).all()
    assert np.isfinite(batch.denoised).all()


def test_a_long_gap_leaves_the_other_windows_finite(tmp_path: Path):
    x = pulse(40)
    x[round(11 * FS_HZ) : round(19 * FS_HZ)] = np.nan

    prepared([made_ref(x)], tmp_path / "out")

    batch, metadata = all_windows(open_dataset(tmp_path / "out"))
    assert metadata.column("start_s").to_pylist() == [0.0, 20.0, 30.0]
    assert np.isfinite(batch.denoised).all()


def test_a_recording_of_half_a_window_or_more_is_padded_with_its_mean(tmp_path: Path):
    summary = prepared([made_ref(pulse(7))], tmp_path / "out")

    batch, metadata = all_windows(open_dataset(tmp_path / "out"))
    padding = batch.signal[0, 875:]
    assert summary.padded == 1
    assert metadata.column("valid_s").to_pylist() == [7.0]
    np.testing.assert_allclose(padding, batch.signal[0, :875].mean(), rtol=1e-5)
    np.testing.assert_array_equal(batch.denoised[0, 875:], 0)


def test_labels_are_averaged_over_each_window(tmp_path: Path):
    labels = {
        "hr_bpm": LabelTrack(1.0, np.arange(50, 80, dtype=np.float32)),
        "rhythm": LabelTrack(0.5, np.array(["sinus"] * 7 + ["af"] * 8)),
        "spo2_pct": LabelTrack(1.0, np.array([np.nan] * 10 + [97.0, np.nan] * 10)),
        "age": 63.0,
        "sex": "F",
    }

    prepared([made_ref(pulse(30), labels=labels)], tmp_path / "out")

    _, metadata = all_windows(open_dataset(tmp_path / "out"))
    assert metadata.column("hr_bpm").to_pylist() == [54.5, 64.5, 74.5]
    assert metadata.column("rhythm").to_pylist() == ["sinus", "af", "af"]
    assert metadata.column("spo2_pct").to_pylist() == [None, 97.0, 97.0]
    assert metadata.column("age").to_pylist() == [63.0] * 3
    assert metadata.column("sex").to_pylist() == ["F"] * 3


def test_a_monitors_zero_is_no_measurement_and_other_zeros_are_values():
    zeros = LabelTrack(1.0, np.array([0.0, 16.0, 0.0, 0.0]))

    table = label_table({"resp_bpm": zeros, "activity": zeros}, [Span(0.0, 2.0), Span(2.0, 2.0)])

    assert table["resp_bpm"].to_pylist() == [16.0, None]
    assert table["activity"].to_pylist() == [8.0, 0.0]


def test_a_label_named_like_a_column_of_the_dataset_is_prefixed():
    table = label_table({"split": "mine", "sqi": 0.5}, [Span(0.0, 10.0)])

    assert table.column_names == ["label_split", "label_sqi"]


def test_a_label_that_is_a_number_here_and_text_there_becomes_text(tmp_path: Path):
    refs = [
        made_ref(pulse(20), "a", labels={"age": 63.0}),
        made_ref(pulse(20), "b", labels={"age": "90+"}),
        made_ref(pulse(20), "c"),
    ]

    prepared(refs, tmp_path / "out")

    dataset = open_dataset(tmp_path / "out")
    rows = [row for name in dataset.counts for row in dataset.split(name).metadata().to_pylist()]
    ages = {row["recording_id"]: row["age"] for row in rows}
    assert ages == {"a": "63", "b": "90+", "c": None}


@given(
    seconds=st.floats(0.5, 100),
    window_s=st.integers(1, 20),
    hop_s=st.integers(1, 30),
    fs_hz=st.sampled_from([25.0, 64.0, 125.0, 333.3]),
)
def test_every_window_lies_within_the_recording(
    seconds: float, window_s: int, hop_s: int, fs_hz: float
):
    settings = PrepareSettings(window_seconds=window_s, hop_seconds=hop_s)
    recorded = pulse(seconds, fs_hz=fs_hz)

    choice = cutting.choose_windows(recorded, fs_hz, settings)

    for span in choice.spans:
        assert span.start_s + span.valid_s <= len(recorded) / fs_hz + 1 / settings.fs_hz
        assert span.valid_s >= window_s / 2 - 1 / settings.fs_hz
    assert bool(choice.spans) != bool(choice.rejected)


def test_a_recording_filtered_in_blocks_is_like_one_filtered_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    noise = np.random.default_rng(0).normal(scale=0.05, size=round(200 * FS_HZ))
    ref = made_ref((pulse(200) + noise).astype(np.float32))
    prepared([ref], tmp_path / "whole")
    monkeypatch.setattr(cutting, "BLOCK_S", 60.0)

    prepared([ref], tmp_path / "blocks")

    whole, _ = all_windows(open_dataset(tmp_path / "whole"))
    blocks, _ = all_windows(open_dataset(tmp_path / "blocks"))
    np.testing.assert_allclose(blocks.signal, whole.signal, atol=1e-3)
    np.testing.assert_allclose(blocks.denoised, whole.denoised, atol=0.1)


def test_subjects_with_several_recordings_stay_in_one_split(tmp_path: Path):
    refs = [
        made_ref(pulse(20, bpm=60 + k), f"r{k}", subject_id=f"subject-{k // 2}") for k in range(20)
    ]

    summary = prepared(refs, tmp_path / "out")

    dataset = open_dataset(tmp_path / "out")
    subjects = [
        set(dataset.split(name).metadata().column("subject_id").to_pylist())
        for name in dataset.counts
    ]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 10
    assert summary.subjects["val"] >= 1


def test_an_unreadable_recording_is_listed_and_the_others_are_done(tmp_path: Path):
    damaged = made_ref(pulse(20), "bad", damage="bad.made: the header\nis cut off")

    summary = prepared([damaged, *many_refs(3)], tmp_path / "out")

    assert summary.recordings == 3
    assert summary.unreadable == [{"recording": "bad", "reason": "bad.made: the header is cut off"}]
    assert sum(summary.counts.values()) == 9


def test_no_windows_at_all_is_an_error_that_says_why_and_leaves_the_folder_usable(tmp_path: Path):
    refs = [made_ref(pulse(3), "a"), made_ref(pulse(3), "b", damage="no PPG channel")]

    with pytest.raises(DatasetError, match=r"1 too_short; 1 unreadable: b: no PPG channel"):
        prepared(refs, tmp_path / "out")
    summary = prepared(refs, tmp_path / "out", PrepareSettings(window_seconds=3.0))

    assert summary.counts["train"] == 1


def test_the_manifest_says_what_was_done(tmp_path: Path):
    prepared(many_refs(3), tmp_path / "out")

    manifest = open_dataset(tmp_path / "out").manifest

    assert manifest["window_seconds"] == 10.0
    assert manifest["sources"] == ["r0.made", "r1.made", "r2.made"]
    assert manifest["preprocessing"]["denoised"] == {
        "wavelet": "db4",
        "level": 5,
        "threshold": "soft",
        "band_hz": [0.5, 8.0],
    }
    assert manifest["labels"] == ["hr_bpm"]
    assert manifest["recorded_s"] == pytest.approx(105.0)
    assert not (tmp_path / "out" / ".prepare").exists()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("stop_after", [0, 1, 4])
def test_a_resumed_preparation_ends_with_the_same_files(tmp_path: Path, stop_after: int):
    refs = many_refs(5)
    loaded: list[str] = []

    def interrupt(progress: PrepareProgress) -> None:
        if progress.recordings_done == stop_after:
            raise KeyboardInterrupt

    def note(progress: PrepareProgress) -> None:
        loaded.append(str(progress.recordings_done))

    prepared(refs, tmp_path / "uninterrupted")
    with pytest.raises(KeyboardInterrupt):
        prepare(refs, tmp_path / "resumed", TEN_SECONDS, workers=1, progress=interrupt)
    prepare(refs, tmp_path / "resumed", TEN_SECONDS, workers=1, progress=note)

    assert files_of(tmp_path / "resumed") == files_of(tmp_path / "uninterrupted")
    assert loaded[0] == str(stop_after)


def test_a_merge_that_was_interrupted_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    refs = many_refs(5)
    prepared(refs, tmp_path / "uninterrupted")

    with monkeypatch.context() as patched:
        patched.setattr("ppgssl.data.writer.write_json", _no_space)
        with pytest.raises(RunError, match="disk is full"):
            prepared(refs, tmp_path / "resumed")
    prepared(refs, tmp_path / "resumed")

    assert files_of(tmp_path / "resumed") == files_of(tmp_path / "uninterrupted")


def test_a_full_disk_is_one_line_and_the_finished_parts_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pq.ParquetWriter, "write_table", _no_space)

    with pytest.raises(RunError, match=r"the disk is full while writing .*run the same again"):
        prepared(many_refs(2), tmp_path / "out")


def _no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path):
    refs = many_refs(6)

    prepared(refs, tmp_path / "one", workers=1)
    prepared(refs, tmp_path / "two", workers=2)

    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


def test_an_unfinished_preparation_with_other_settings_is_refused(tmp_path: Path):
    def interrupt(_: PrepareProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(many_refs(2), tmp_path / "out", TEN_SECONDS, workers=1, progress=interrupt)

    with pytest.raises(DatasetError, match=r"window_seconds was 10\.0, now 5\.0"):
        prepared(many_refs(2), tmp_path / "out", PrepareSettings(window_seconds=5.0))
    with pytest.raises(DatasetError, match="the recordings are not the same"):
        prepared(many_refs(3), tmp_path / "out")
    other_channel = ReadOptions(channel="BVP")
    with pytest.raises(DatasetError, match="the recordings are not the same"):
        prepared([replace(ref, options=other_channel) for ref in many_refs(2)], tmp_path / "out")


def test_a_finished_dataset_is_left_as_it_is(tmp_path: Path):
    first = prepared(many_refs(2), tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}

    again = prepared(many_refs(2), tmp_path / "out")

    assert again == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(DatasetError, match="prepared otherwise"):
        prepared(many_refs(2), tmp_path / "out", PrepareSettings(window_seconds=5.0))


def test_a_folder_with_other_parquet_files_is_not_written_into(tmp_path: Path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "windows-mine.parquet")

    with pytest.raises(DatasetError, match="choose an empty folder"):
        prepared(many_refs(2), tmp_path)


def test_an_output_that_cannot_be_a_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(DatasetError, match="cannot be written"):
        prepared(many_refs(2), tmp_path / "file" / "out")


def test_progress_counts_recordings_windows_and_seconds(tmp_path: Path):
    seen: list[PrepareProgress] = []
    refs = [*many_refs(2), made_ref(pulse(3), "short"), made_ref(pulse(3), "bad", damage="broken")]

    prepare(refs, tmp_path / "out", TEN_SECONDS, workers=1, progress=seen.append)

    last = seen[-1]
    assert [progress.recordings_done for progress in seen] == [0, 1, 2, 3, 4]
    assert (last.recordings, last.kept, last.rejected, last.unreadable) == (4, 6, 1, 1)
    assert last.recorded_s == pytest.approx(73.0)
    assert last.bytes_done == last.bytes_total


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fs_hz": 16.0}, "fs_hz must be above 16 Hz"),
        ({"window_seconds": 0.0}, "window_seconds must be a positive number, got 0"),
        ({"window_seconds": math.nan}, "window_seconds must be a positive number, got nan"),
        ({"hop_seconds": math.inf}, "hop_seconds must be a positive number, got inf"),
        ({"hop_seconds": 0.001}, "longer than a sample at 125 Hz"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        PrepareSettings(**settings)


def test_the_manifest_is_plain_json(tmp_path: Path):
    prepared(many_refs(2), tmp_path / "out")

    manifest = json.loads((tmp_path / "out" / "dataset.json").read_text())

    assert manifest["format_version"] == 1
    assert manifest["counts"]["train"] == 3
