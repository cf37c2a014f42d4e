"""Real recordings: one and the same whether read as published or from Parquet."""

from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.recordings import LabelTrack, Recording, find_recordings

pytestmark = pytest.mark.recordings


def read_rows(path: Path, names: set[str]) -> dict[str, Recording]:
    refs = find_recordings([path]).refs
    return {ref.recording_id: ref.load() for ref in refs if ref.recording_id in names}


def assert_same_tracks(recording: Recording, row: Recording, names: list[str]) -> None:
    for name in names:
        track, expected = recording.labels[name], row.labels[name]
        assert isinstance(track, LabelTrack)
        assert isinstance(expected, LabelTrack)
        assert track.fs_hz == expected.fs_hz
        np.testing.assert_allclose(track.values, expected.values, rtol=1e-7)


def test_wfdb_records_equal_their_rows(recordings: Path):
    found = find_recordings([recordings / "raw" / "cinc2015_wfdb"])
    names = {f"cinc2015_{ref.recording_id}" for ref in found.refs}
    rows = read_rows(recordings / "cinc2015.parquet", names)

    assert len(rows) == 7
    for ref in found.refs:
        recording, row = ref.load(), rows[f"cinc2015_{ref.recording_id}"]
        assert recording.fs_hz == row.fs_hz == 250.0
        np.testing.assert_allclose(recording.signal, row.signal, rtol=1e-6)
        assert row.labels["alarm_true"] in ("true", "false")


def test_the_record_without_ppg_is_skipped_with_its_channels(recordings: Path):
    found = find_recordings([recordings / "raw" / "cinc2015_wfdb"])

    ((path, reason),) = found.skipped
    assert path.name == "a109l.hea"
    assert reason.startswith("no PPG channel; channels are II, aVF, ABP, RESP;")


def test_tables_of_bidmc_equal_their_rows(recordings: Path):
    found = find_recordings([recordings / "raw" / "bidmc_csv"])
    rows = read_rows(recordings / "bidmc.parquet", {"bidmc_01", "bidmc_17"})

    assert [ref.recording_id for ref in found.refs] == sorted(rows)
    for ref in found.refs:
        recording, row = ref.load(), rows[ref.recording_id]
        assert (recording.subject_id, recording.fs_hz) == (row.subject_id, row.fs_hz)
        np.testing.assert_array_equal(recording.signal, row.signal)
        assert set(recording.labels) == set(row.labels)
        assert_same_tracks(recording, row, ["hr_bpm", "pulse_bpm", "resp_bpm", "spo2_pct"])
        for name in {"age", "sex", "ward"} & set(row.labels):
            assert recording.labels[name] == row.labels[name]


def test_empatica_exports_equal_their_rows(recordings: Path):
    found = find_recordings([recordings / "raw" / "stress_predict_e4"])
    rows = read_rows(recordings / "stress_predict.parquet", {"stress_S01", "stress_S20"})

    assert [ref.recording_id for ref in found.refs] == ["S01", "S20"]
    for ref in found.refs:
        recording, row = ref.load(), rows[f"stress_{ref.recording_id}"]
        assert recording.fs_hz == row.fs_hz == 64.0
        np.testing.assert_array_equal(recording.signal, row.signal)
        assert_same_tracks(recording, row, ["device_hr_bpm"])


@pytest.mark.parametrize(
    ("name", "num_recordings", "num_subjects"),
    [("bidmc.parquet", 53, 46), ("stress_predict.parquet", 35, 35)],
)
def test_every_row_is_found_once(
    recordings: Path, name: str, num_recordings: int, num_subjects: int
):
    refs = find_recordings([recordings / name]).refs

    subjects = {ref.load().subject_id for ref in refs}

    assert len({ref.recording_id for ref in refs}) == num_recordings
    assert len(subjects) == num_subjects


def test_the_whole_folder_is_listed_with_unique_names(recordings: Path):
    found = find_recordings([recordings])

    assert len(found.refs) >= 53 + 627 + 35 + 2 + 7 + 2
    assert len({ref.recording_id for ref in found.refs}) == len(found.refs)
    assert {path.name for path, _ in found.skipped} >= {"README.md", "a109l.hea"}
