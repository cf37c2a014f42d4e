"""Exports of the Empatica E4, as folders and zip files."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.recordings import LabelTrack, Recording, find_recordings
from ppgssl.errors import RecordingError

PULSE = np.round(np.sin(np.arange(640) / 10), 2)


def sensor(start: float, fs_hz: float, values: np.ndarray) -> str:
    return "\n".join(f"{value}" for value in (start, fs_hz, *values)) + "\n"


def write_export(folder: Path, *, hr_start: float = 1003.0) -> Path:
    folder.mkdir(parents=True)
    (folder / "BVP.csv").write_text(sensor(1000.0, 64.0, PULSE))
    (folder / "HR.csv").write_text(sensor(hr_start, 1.0, np.arange(70.0, 77.0)))
    (folder / "ACC.csv").write_text("1000.0, 1000.0, 1000.0\n32.0, 32.0, 32.0\n1,2,3\n")
    (folder / "IBI.csv").touch()
    (folder / "tags.csv").touch()
    (folder / "info.txt").write_text("BVP.csv\nData from photoplethysmograph.\n")
    return folder


def heart_rate(recording: Recording) -> LabelTrack:
    track = recording.labels["device_hr_bpm"]
    assert isinstance(track, LabelTrack)
    return track


def test_a_folder_is_one_recording_of_the_subject_it_is_named_after(tmp_path: Path):
    write_export(tmp_path / "S01")

    found = find_recordings([tmp_path])

    recording = found.refs[0].load()
    assert len(found.refs) == 1
    assert found.skipped == []
    assert (recording.recording_id, recording.subject_id, recording.fs_hz) == ("S01", "S01", 64.0)
    np.testing.assert_allclose(recording.signal, PULSE)


@pytest.mark.parametrize(
    ("hr_start", "expected"),
    [
        (1003.0, [np.nan, np.nan, np.nan, 70, 71, 72, 73, 74, 75, 76]),
        (1000.0, [70, 71, 72, 73, 74, 75, 76]),
        (998.0, [72, 73, 74, 75, 76]),
    ],
)
def test_the_devices_heart_rate_is_aligned_by_its_start(
    tmp_path: Path, hr_start: float, expected: list[float]
):
    write_export(tmp_path / "S01", hr_start=hr_start)

    track = heart_rate(find_recordings([tmp_path]).refs[0].load())

    assert track.fs_hz == 1.0
    np.testing.assert_array_equal(track.values, expected)


@pytest.mark.parametrize("empty", [True, False])
def test_an_export_without_heart_rate_has_no_labels(tmp_path: Path, empty: bool):
    path = write_export(tmp_path / "S01") / "HR.csv"
    path.write_text("") if empty else path.unlink()

    assert find_recordings([tmp_path]).refs[0].load().labels == {}


def test_the_signal_file_alone_can_be_named(tmp_path: Path):
    folder = write_export(tmp_path / "S01")

    found = find_recordings([folder / "BVP.csv"])

    assert [ref.recording_id for ref in found.refs] == ["S01"]


def test_all_files_of_an_export_can_be_named(tmp_path: Path):
    folder = write_export(tmp_path / "S01")

    assert len(find_recordings(sorted(folder.iterdir())).refs) == 1


def test_a_zip_file_holds_one_export_or_several(tmp_path: Path):
    folder = write_export(tmp_path / "S01")
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.write(folder / "BVP.csv", "BVP.csv")
        archive.write(folder / "HR.csv", "HR.csv")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(folder / "BVP.csv", "P2/BVP.csv")
        archive.write(folder / "BVP.csv", "P1/BVP.csv")

    one = [ref.load() for ref in find_recordings([tmp_path / "one.zip"]).refs]
    two = [ref.load() for ref in find_recordings([tmp_path / "two.zip"]).refs]

    assert [(r.recording_id, r.subject_id) for r in one] == [("one", "one")]
    assert [(r.recording_id, r.subject_id) for r in two] == [("P1", "P1"), ("P2", "P2")]
    assert heart_rate(one[0]).values.tolist()[3:] == [70, 71, 72, 73, 74, 75, 76]
    np.testing.assert_allclose(two[1].signal, PULSE)


def test_a_table_that_is_called_bvp_is_read_as_a_table(tmp_path: Path):
    (tmp_path / "BVP.csv").write_text("time,bvp\n0,1\n0.1,2\n0.2,3\n")

    (ref,) = find_recordings([tmp_path]).refs

    assert ref.load().fs_hz == 10.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1000.0\n64.0\n", "S01 holds no samples"),
        ("1000.0\n64.0\n0.1\nx\n", r"S01: cannot be read as empatica .*invalid value 'x'"),
        ("1000.0\n0\n0.1\n", "S01: BVP.csv: expected a row with the start time and one with the"),
    ],
)
def test_a_damaged_export_is_refused_by_name(tmp_path: Path, text: str, message: str):
    (write_export(tmp_path / "S01") / "BVP.csv").write_text(text)

    with pytest.raises(RecordingError, match=message):
        find_recordings([tmp_path]).refs[0].load()


def test_other_zip_files_and_channels_are_refused(tmp_path: Path):
    write_export(tmp_path / "S01")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("photos/1.jpg", "x")
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:40])

    with pytest.raises(RecordingError, match=r"a\.zip: no BVP\.csv in it"):
        find_recordings([tmp_path / "a.zip"])
    with pytest.raises(RecordingError, match=r"b\.zip: cannot be read as empatica"):
        find_recordings([tmp_path / "b.zip"])
    with pytest.raises(RecordingError, match="no channel 'ACC'; channels are BVP"):
        find_recordings([tmp_path / "S01" / "BVP.csv"], channel="ACC")
