"""NumPy arrays: recordings, and stacks of windows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppgssl.data.recordings import LabelTrack, find_recordings
from ppgssl.errors import RecordingError

PULSE = np.sin(np.arange(2000) / 10).astype(np.float32)
STACK = PULSE.reshape(4, 500)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_a_row_of_numbers_is_a_recording(tmp_path: Path, dtype: type):
    np.save(tmp_path / "a.npy", (100 * PULSE).astype(dtype))

    (ref,) = find_recordings([tmp_path / "a.npy"], fs_hz=64.0).refs

    recording = ref.load()
    assert not ref.is_window
    assert (recording.recording_id, recording.subject_id, recording.fs_hz) == ("a", "a", 64.0)
    assert type(recording.signal) is np.ndarray
    assert recording.signal.dtype == np.float32
    np.testing.assert_array_equal(recording.signal, (100 * PULSE).astype(dtype))


def test_each_row_of_two_dimensions_is_a_window_in_order(tmp_path: Path):
    np.save(tmp_path / "a.npy", STACK)

    refs = find_recordings([tmp_path / "a.npy"], fs_hz=64.0).refs

    assert [ref.recording_id for ref in refs] == ["a[0]", "a[1]", "a[2]", "a[3]"]
    assert all(ref.is_window for ref in refs)
    np.testing.assert_array_equal([ref.load().signal for ref in refs], STACK)


def test_an_axis_of_a_single_channel_is_passed_over(tmp_path: Path):
    np.save(tmp_path / "column.npy", PULSE[:, None])
    np.save(tmp_path / "stack.npy", STACK[:, None, :])

    column, *stack = find_recordings([tmp_path], fs_hz=64.0).refs

    assert not column.is_window
    np.testing.assert_array_equal(column.load().signal, PULSE)
    assert all(ref.is_window for ref in stack)
    np.testing.assert_array_equal([ref.load().signal for ref in stack], STACK)


def test_windows_of_one_file_are_one_subject_and_files_of_one_name_are_not(tmp_path: Path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", STACK)

    recordings = [ref.load() for ref in find_recordings([tmp_path], fs_hz=64.0).refs]

    assert [recording.recording_id for recording in recordings[:2]] == ["x/a[0]", "x/a[1]"]
    assert {recording.subject_id for recording in recordings} == {"x/a", "y/a"}


def test_windows_may_have_a_rate_of_their_own(tmp_path: Path):
    np.save(tmp_path / "one.npy", PULSE)
    np.save(tmp_path / "stack.npy", STACK)

    refs = find_recordings([tmp_path], fs_hz=64.0, window_fs_hz=125.0).refs

    assert [ref.load().fs_hz for ref in refs] == [64.0, 125.0, 125.0, 125.0, 125.0]


def test_windows_of_a_fortran_array_are_its_rows(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.asfortranarray(STACK))

    refs = find_recordings([tmp_path / "a.npy"], fs_hz=64.0).refs

    np.testing.assert_array_equal(refs[2].load().signal, STACK[2])


@pytest.mark.parametrize("key", ["ppg", "signal", "arr_0", "Pleth"])
def test_an_npz_file_says_its_rate_subject_and_labels(tmp_path: Path, key: str):
    arrays: dict[str, Any] = {
        key: PULSE,
        "fs": 100.0,
        "subject_id": "p7",
        "sex": "F",
        "age": np.array([63]),
        "hr_bpm": np.arange(70.0, 90.0),
        "beat_samples": np.arange(0, 2000, 100),
    }
    np.savez(tmp_path / "a.npz", **arrays)

    recording = find_recordings([tmp_path / "a.npz"]).refs[0].load()

    track = recording.labels.pop("hr_bpm")
    assert (recording.fs_hz, recording.subject_id) == (100.0, "p7")
    assert recording.labels == {"sex": "F", "age": 63.0}
    assert isinstance(track, LabelTrack)
    assert track.fs_hz == 1.0
    np.testing.assert_array_equal(track.values, np.arange(70.0, 90.0))
    np.testing.assert_array_equal(recording.signal, PULSE)


def test_an_npz_file_of_windows_labels_each_of_them(tmp_path: Path):
    np.savez_compressed(
        tmp_path / "a.npz",
        windows=STACK,
        fs_hz=50,
        subject_id=["p1", "p1", "p2", "p2"],
        hr_bpm=[60.0, 61.0, np.nan, 63.0],
    )

    recordings = [ref.load() for ref in find_recordings([tmp_path]).refs]

    assert [recording.subject_id for recording in recordings] == ["p1", "p1", "p2", "p2"]
    assert [recording.labels for recording in recordings] == [
        {"hr_bpm": 60.0},
        {"hr_bpm": 61.0},
        {},
        {"hr_bpm": 63.0},
    ]
    np.testing.assert_array_equal([recording.signal for recording in recordings], STACK)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 500)), r"expected an array \(samples,\) or \(windows, samples\), got"),
        (np.zeros((500, 2)), r"\(windows, samples\), got shape \(500, 2\)"),
        (np.zeros(0), r"got shape \(0,\)"),
        (np.zeros((0, 500)), r"got shape \(0, 500\)"),
        (np.float64(1), r"got shape \(\)"),
        (np.zeros(500, complex), "a recording is one row of numbers, got complex128"),
        (np.zeros(500, "U3"), "a recording is one row of numbers, got <U3"),
    ],
)
def test_arrays_of_another_kind_are_refused_by_name(
    tmp_path: Path, array: np.ndarray, message: str
):
    np.save(tmp_path / "a.npy", array)

    with pytest.raises(RecordingError, match=message) as caught:
        find_recordings([tmp_path / "a.npy"], fs_hz=64.0).refs[0].load()

    assert "a.npy" in str(caught.value)


@pytest.mark.parametrize("array", [PULSE, STACK])
def test_an_array_of_unknown_rate_is_refused(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", ppg=array)

    for name in ("a.npy", "b.npz"):
        with pytest.raises(RecordingError, match=f"{name}: an array does not say its rate; give"):
            find_recordings([tmp_path / name])


def test_a_rate_that_is_none_is_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", ppg=PULSE, fs=0.0)

    with pytest.raises(RecordingError, match=r"a\.npz: the sampling rate is 0\.0; expected"):
        find_recordings([tmp_path]).refs[0].load()


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was run",)


def test_pickled_arrays_are_never_read(tmp_path: Path):
    array = np.array([Malicious(), 1.0], dtype=object)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", ppg=array, fs=64.0)
    np.savez(tmp_path / "c.npz", ppg=PULSE, fs=64.0, notes=array)

    for name in ("a.npy", "b.npz"):
        with pytest.raises(RecordingError, match=f"{name}: holds pickled Python objects"):
            find_recordings([tmp_path / name], fs_hz=64.0)
    assert find_recordings([tmp_path / "c.npz"]).refs[0].load().labels == {}


def test_files_that_are_cut_off_or_something_else_are_refused_by_name(tmp_path: Path):
    np.save(tmp_path / "a.npy", PULSE)
    np.savez(tmp_path / "b.npz", ppg=PULSE, fs=64.0)
    for name in ("a.npy", "b.npz"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:4000])
    (tmp_path / "c.npy").write_text("time,ppg")

    with pytest.raises(RecordingError, match=r"a\.npy: the file is cut off; its last \d+ bytes"):
        find_recordings([tmp_path / "a.npy"], fs_hz=64.0)
    with pytest.raises(RecordingError, match=r"b\.npz: cannot be read as numpy"):
        find_recordings([tmp_path / "b.npz"])
    with pytest.raises(RecordingError, match=r"c\.npy: cannot be read as numpy"):
        find_recordings([tmp_path / "c.npy"], fs_hz=64.0)
