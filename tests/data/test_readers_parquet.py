"""Parquet files: a recording per row, or a sample per row."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ppgssl.data.readers import parquet_rows
from ppgssl.data.recordings import LabelTrack, Recording, find_recordings
from ppgssl.errors import RecordingError

SECONDS, FS_HZ = 20, 32.0
PULSE = np.sin(np.arange(int(SECONDS * FS_HZ)) / 5).astype(np.float32)


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def read(path: Path, **options: Any) -> list[Recording]:
    return [ref.load() for ref in find_recordings([path], **options).refs]


def values_of(recording: Recording, label: str) -> list[Any]:
    track = recording.labels[label]
    assert isinstance(track, LabelTrack)
    return track.values.tolist()


def test_each_row_is_a_recording(tmp_path: Path):
    columns = {
        "recording_id": ["r0", "r1"],
        "subject_id": ["s0", "s1"],
        "fs_hz": [FS_HZ, 64.0],
        "ppg": [PULSE, 2 * PULSE],
    }

    first, second = read(write(tmp_path / "a.parquet", columns))

    assert (first.recording_id, first.subject_id, first.fs_hz) == ("r0", "s0", FS_HZ)
    assert (second.recording_id, second.subject_id, second.fs_hz) == ("r1", "s1", 64.0)
    np.testing.assert_array_equal(first.signal, PULSE)
    np.testing.assert_array_equal(second.signal, 2 * PULSE)
    assert first.signal.dtype == np.float32


def test_without_ids_a_row_is_called_by_its_file_and_is_its_own_subject(tmp_path: Path):
    path = write(tmp_path / "a.parquet", {"ppg": [PULSE, PULSE]})

    recordings = read(path, fs_hz=50.0)

    assert [recording.recording_id for recording in recordings] == ["a[0]", "a[1]"]
    assert [recording.subject_id for recording in recordings] == ["a[0]", "a[1]"]
    assert recordings[0].fs_hz == 50.0


def test_counts_become_physical_values_and_the_least_count_is_missing(tmp_path: Path):
    columns = {
        "fs_hz": [FS_HZ],
        "adc": pa.array([[-32768, 0, 100, 32767]], pa.list_(pa.int16())),
        "adc_gain": pa.array([50.0], pa.float32()),
        "adc_baseline": pa.array([-100], pa.int32()),
    }

    (recording,) = read(write(tmp_path / "a.parquet", columns))

    np.testing.assert_allclose(recording.signal, [np.nan, 2.0, 4.0, 657.34])
    assert recording.labels == {}


def test_missing_samples_are_nan_however_they_are_written(tmp_path: Path):
    signal = pa.array([[1.0, None, np.nan, np.inf, 1e300]], pa.list_(pa.float64()))

    (recording,) = read(write(tmp_path / "a.parquet", {"ppg": signal}), fs_hz=FS_HZ)

    np.testing.assert_array_equal(recording.signal, [1, np.nan, np.nan, np.nan, np.nan])


def test_a_list_with_a_value_per_second_is_a_track(tmp_path: Path):
    columns = {
        "ppg": [PULSE],
        "hr_bpm": [[60.0 + k for k in range(SECONDS)]],
        "rhythm": [["sinus"] * 10 + [None] * 10],
        "beat_samples": [list(range(0, 600, 30))],  # 20 values as well, but of another kind
        "ecg": [PULSE],
    }

    (recording,) = read(write(tmp_path / "a.parquet", columns), fs_hz=FS_HZ)

    assert set(recording.labels) == {"hr_bpm", "rhythm"}
    assert values_of(recording, "hr_bpm") == [60.0 + k for k in range(SECONDS)]
    assert values_of(recording, "rhythm") == ["sinus"] * 10 + [""] * 10


@pytest.mark.parametrize(
    ("track_start", "expected"), [(103.0, [np.nan] * 3 + [0.0, 1, 2]), (98.0, [2.0, 3, 4, 5])]
)
def test_a_track_that_starts_at_another_time_is_aligned(
    tmp_path: Path, track_start: float, expected: list[float]
):
    columns = {
        "start_unix_s": [100.0],
        "ppg": [PULSE],
        "device_hr_start_unix_s": [track_start],
        "device_hr_bpm": [[float(k) for k in range(20)]],
    }

    (recording,) = read(write(tmp_path / "a.parquet", columns), fs_hz=FS_HZ)

    values = values_of(recording, "device_hr_bpm")
    np.testing.assert_array_equal(values[: len(expected)], expected)
    assert set(recording.labels) == {"device_hr_bpm"}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("88", 88.0),
        ("90+", 90.0),
        ("M", "M"),
        (True, "true"),
        (3, 3.0),
        ("?", None),
        ("NaN", None),
        (None, None),
        (np.nan, None),
    ],
)
def test_a_single_value_is_a_label(tmp_path: Path, value: object, label: float | str | None):
    columns = {"ppg": [PULSE, PULSE], "x": [value, value]}

    recording = read(write(tmp_path / "a.parquet", columns), fs_hz=FS_HZ)[0]

    assert recording.labels.get("x") == label


def test_reading_a_row_reads_its_row_group_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "a.parquet", {"ppg": [PULSE * k for k in range(6)]}, row_group_size=2)
    groups: list[int] = []
    read_group = pq.ParquetFile.read_row_group

    def noting(file: pq.ParquetFile, group: int, **rest: Any) -> pa.Table:
        groups.append(group)
        return read_group(file, group, **rest)

    refs = find_recordings([path], fs_hz=FS_HZ).refs
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", noting)
    parquet_rows._read_group.cache_clear()

    third, fourth = refs[3].load(), refs[2].load()

    assert groups == [1]
    np.testing.assert_array_equal(third.signal, 3 * PULSE)
    np.testing.assert_array_equal(fourth.signal, 2 * PULSE)


def test_sizes_of_rows_add_up_to_about_the_file(tmp_path: Path):
    noise = np.random.default_rng(0).normal(size=(4, 50_000))
    path = write(tmp_path / "a.parquet", {"ppg": list(noise)})

    sizes = [ref.size_bytes for ref in find_recordings([path], fs_hz=FS_HZ).refs]

    assert sum(sizes) == pytest.approx(path.stat().st_size, rel=0.05)


def long_table(rows_per_recording: int = 100) -> dict[str, Any]:
    count = rows_per_recording
    return {
        "recording_id": ["b"] * count + ["a"] * count,
        "patient_id": [7] * count + [9] * count,
        "time_s": np.tile(np.arange(count) / FS_HZ, 2),
        "ppg": np.concatenate([PULSE[:count], -PULSE[:count]]),
        "hr_bpm": np.repeat([60.0, 70.0, 80.0], [count // 2, count // 2, count]),
        "rhythm": ["sinus"] * count + ["af"] * (count // 2) + ["sinus"] * (count // 2),
        "accelerometer": np.arange(2.0 * count),
    }


def test_a_long_table_holds_its_recordings_one_after_the_other(tmp_path: Path):
    path = write(tmp_path / "a.parquet", long_table(), row_group_size=64)

    first, second = read(path)

    assert (first.recording_id, first.subject_id, first.fs_hz) == ("b", "7", FS_HZ)
    assert (second.recording_id, second.subject_id, second.fs_hz) == ("a", "9", FS_HZ)
    np.testing.assert_array_equal(first.signal, PULSE[:100])
    np.testing.assert_array_equal(second.signal, -PULSE[:100])


def test_columns_of_a_long_table_are_labels_where_they_are_constant_or_vital_signs(
    tmp_path: Path,
):
    first, second = read(write(tmp_path / "a.parquet", long_table()))

    assert set(first.labels) == set(second.labels) == {"hr_bpm", "rhythm"}
    assert first.labels["rhythm"] == "sinus"
    assert values_of(first, "hr_bpm") == [60.0] * 50 + [70.0] * 50
    assert second.labels["hr_bpm"] == 80.0
    assert values_of(second, "rhythm") == ["af"] * 50 + ["sinus"] * 50


def test_without_ids_of_recordings_a_long_table_holds_one_of_each_subject(tmp_path: Path):
    columns = long_table()
    del columns["recording_id"]

    first, second = read(write(tmp_path / "a.parquet", columns))

    assert (first.recording_id, first.subject_id, first.fs_hz) == ("7", "7", FS_HZ)
    assert (second.recording_id, second.subject_id, second.fs_hz) == ("9", "9", FS_HZ)
    np.testing.assert_array_equal(second.signal, -PULSE[:100])


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]"])
def test_an_index_of_times_that_pandas_left_without_a_name_tells_the_rate(
    tmp_path: Path, kind: str
):
    times = (np.arange(len(PULSE)) / FS_HZ * 1e9).astype(np.int64).astype(kind)
    path = write(tmp_path / "a.parquet", {"ppg": PULSE, "__index_level_0__": times})

    (recording,) = read(path)

    assert recording.fs_hz == FS_HZ
    assert recording.labels == {}


def test_a_long_table_of_one_recording_needs_no_ids(tmp_path: Path):
    path = write(tmp_path / "a.parquet", {"value": PULSE, "fs": [FS_HZ] * len(PULSE)})

    (recording,) = read(path)

    assert (recording.recording_id, recording.fs_hz) == ("a", FS_HZ)
    np.testing.assert_array_equal(recording.signal, PULSE)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ppg": [PULSE]}, "no column fs_hz; give its sampling rate"),
        ({"ppg": PULSE}, "no column fs_hz or time_s; give its sampling rate"),
        ({"ecg": [PULSE], "hr": [60.0]}, "no PPG channel; channels are ecg, hr; pick one with"),
        ({"ppg": []}, "the table has no rows"),
        ({"ppg": [PULSE], "fs_hz": [None]}, "row 0: the sampling rate is None"),
        ({"ppg": [PULSE], "fs_hz": [0.0]}, "row 0: the sampling rate is 0"),
        ({"ppg": pa.array([[], PULSE]), "fs_hz": [1.0, 1.0]}, r"a\[0\] holds no samples"),
        ({"ppg": pa.array([None, PULSE]), "fs_hz": [1.0, 1.0]}, "row 0: ppg is empty"),
        ({"ppg": PULSE, "time": np.arange(640) ** 2.0 / 1e5}, "not evenly spaced"),
        ({"ppg": PULSE, "fs_hz": [1.0] * 639 + [2.0]}, r"expected one rate in fs_hz, got \[1"),
        ({"signal": [PULSE], "window_id": [0]}, "holds windows that are prepared already"),
    ],
)
def test_unusable_tables_are_refused_by_name(tmp_path: Path, columns: dict[str, Any], message: str):
    path = write(tmp_path / "a.parquet", columns)

    with pytest.raises(RecordingError, match=message) as caught:
        read(path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [3, 100, 2000])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, kept: int):
    path = write(tmp_path / "a.parquet", {"ppg": [PULSE], "fs_hz": [FS_HZ]})
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(RecordingError, match=r"a\.parquet: cannot be read as parquet"):
        find_recordings([path])
