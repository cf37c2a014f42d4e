"""What is found in files, folders and globs, in which order, under which names, and what is not."""

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.recordings import RecordingRef, find_recordings
from ppgssl.errors import RecordingError

PULSE = np.sin(np.arange(640) / 10)


def write_csv(path: Path, header: str = "time,ppg") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{k / 64:.6f},{value:.6f}" for k, value in enumerate(PULSE)]
    path.write_text("\n".join([header, *rows]))
    return path


def ids(refs: list[RecordingRef]) -> list[str]:
    return [ref.recording_id for ref in refs]


def test_a_folder_is_searched_through_in_the_order_of_its_paths(tmp_path: Path):
    for name in ("b/2.csv", "a/10.csv", "c.csv", "b/1.csv"):
        write_csv(tmp_path / name)

    found = find_recordings([tmp_path])

    assert ids(found.refs) == ["c", "10", "1", "2"]
    assert found.skipped == []


def test_a_folder_that_may_not_be_read_is_named_and_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_csv(tmp_path / "open" / "a.csv")
    closed = tmp_path / "closed"
    closed.mkdir()
    scan = os.scandir

    def refuse_closed(folder: str):
        if Path(folder) == closed:  # root, which may run the tests, may read everything
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse_closed)

    with pytest.raises(RecordingError, match=r"closed cannot be read \(Permission denied\); give"):
        find_recordings([tmp_path])


def test_hidden_files_are_not_looked_at(tmp_path: Path):
    for name in ("a.csv", ".b.csv", ".cache/c.csv"):
        write_csv(tmp_path / name)

    assert ids(find_recordings([tmp_path]).refs) == ["a"]


def test_a_folder_may_mix_formats_and_hold_other_files(tmp_path: Path):
    write_csv(tmp_path / "a.csv")
    np.savez(tmp_path / "b.npz", ppg=PULSE, fs=64.0)
    write_csv(tmp_path / "ecg.csv", header="time,ecg")
    (tmp_path / "README.md").write_text("recordings of the summer")
    (tmp_path / "notes.txt").write_text("the third was noisy\nas was the fifth")
    (tmp_path / "empty.edf").touch()

    found = find_recordings([tmp_path])

    assert ids(found.refs) == ["a", "b"]
    assert [(path.name, reason) for path, reason in found.skipped] == [
        ("README.md", "no recording by its name (.md)"),
        ("ecg.csv", "no PPG channel; channels are ecg; pick one with --channel"),
        ("empty.edf", "the file is empty"),
        ("notes.txt", "no table of numbers"),
    ]


def test_a_glob_finds_what_it_matches(tmp_path: Path):
    for name in ("s1/a.csv", "s2/b.csv", "s2/c.npy"):
        write_csv(tmp_path / name)

    assert ids(find_recordings([f"{tmp_path}/*/*.csv"]).refs) == ["a", "b"]
    assert ids(find_recordings([f"{tmp_path}/**/b.*"]).refs) == ["b"]
    with pytest.raises(RecordingError, match=r"no file matches .*\*\.edf"):
        find_recordings([f"{tmp_path}/*.edf"])


def test_a_file_that_is_named_twice_is_found_once(tmp_path: Path):
    path = write_csv(tmp_path / "a.csv")

    assert ids(find_recordings([path, tmp_path, f"{tmp_path}/*.csv"]).refs) == ["a"]


def test_recordings_of_one_name_are_told_apart_by_their_folders(tmp_path: Path):
    for name in ("x/1/a.csv", "x/2/a.csv", "y/1/a.csv", "y/b.csv"):
        write_csv(tmp_path / name)

    refs = find_recordings([tmp_path]).refs

    assert ids(refs) == ["x/1/a", "x/2/a", "b", "y/1/a"]
    assert refs[0].load().recording_id == refs[0].load().subject_id == "x/1/a"


def test_recordings_of_one_name_in_one_folder_are_told_apart_by_their_files(tmp_path: Path):
    write_csv(tmp_path / "a.csv")
    write_csv(tmp_path / "a.tsv")

    assert ids(find_recordings([tmp_path]).refs) == ["a (a.csv)", "a (a.tsv)"]


def test_a_format_that_is_named_leaves_other_files_alone(tmp_path: Path):
    write_csv(tmp_path / "a.csv")
    np.savez(tmp_path / "b.npz", ppg=PULSE, fs=64.0)

    found = find_recordings([tmp_path], format="numpy")

    assert ids(found.refs) == ["b"]
    assert [path.name for path, _ in found.skipped] == ["a.csv"]


def test_a_named_file_is_read_in_the_named_format_whatever_it_is_called(tmp_path: Path):
    path = write_csv(tmp_path / "a.log")

    recording = find_recordings([path], format="csv").refs[0].load()

    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-6)


def test_another_channel_can_be_picked(tmp_path: Path):
    path = write_csv(tmp_path / "a.csv", header="time, Red Light")

    with pytest.raises(RecordingError, match="channels are Red Light; pick one with --channel"):
        find_recordings([path])

    assert len(find_recordings([path], channel="red light").refs[0].load().signal) == 640


def test_a_ref_goes_over_process_borders(tmp_path: Path):
    (ref,) = find_recordings([write_csv(tmp_path / "a.csv")]).refs

    copy = pickle.loads(pickle.dumps(ref))

    assert copy == ref
    assert len(pickle.dumps(ref)) < 1000
    assert copy.load().fs_hz == 64.0
    assert ref.size_bytes == (tmp_path / "a.csv").stat().st_size


def test_a_file_that_has_gone_is_an_error_that_names_it(tmp_path: Path):
    (ref,) = find_recordings([write_csv(tmp_path / "a.csv")]).refs
    ref.path.unlink()

    with pytest.raises(RecordingError, match=r"a\.csv: cannot be read as csv"):
        ref.load()


def test_sources_that_give_nothing_are_refused(tmp_path: Path):
    (tmp_path / "README.md").write_text("nothing here")

    with pytest.raises(RecordingError, match="absent does not exist"):
        find_recordings([tmp_path / "absent"])
    with pytest.raises(RecordingError, match=r"no recordings in .*README.md: no recording by its"):
        find_recordings([tmp_path])
    with pytest.raises(RecordingError, match="no recordings in an empty list"):
        find_recordings([])


def test_a_named_file_that_is_unusable_is_an_error_even_among_others(tmp_path: Path):
    good = write_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv").touch()

    with pytest.raises(RecordingError, match=r"b\.csv: the file is empty"):
        find_recordings([good, tmp_path / "b.csv"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "mp3"}, "unknown format 'mp3'; give auto or one of wfdb, csv, empatica"),
        ({"fs_hz": 0.0}, "must be a positive number of Hz, got 0"),
        ({"fs_hz": float("nan")}, "must be a positive number of Hz, got nan"),
        ({"window_fs_hz": -1.0}, "must be a positive number of Hz, got -1"),
        ({"channel": "ECG"}, "no channel 'ECG'; channels are ppg"),
    ],
)
def test_impossible_wishes_are_refused(tmp_path: Path, options: dict[str, object], message: str):
    path = write_csv(tmp_path / "a.csv")

    with pytest.raises(RecordingError, match=message):
        find_recordings([path], **options)  # type: ignore[arg-type]
