"""WFDB records: one piece or segments, in physical units, with what the header says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.recordings import Recording, find_recordings
from ppgssl.errors import RecordingError

PULSE = np.round(np.sin(np.arange(1000) / 10), 3)
GAIN, BASELINE = 1000.0, 100


def write_record(
    folder: Path,
    name: str = "r1",
    *,
    channels: Sequence[str] = ("II", "PLETH"),
    signal: np.ndarray = PULSE,
    per_frame: int = 1,
    comments: Sequence[str] = (),
) -> Path:
    """A record whose first channel is an ECG of zeros, and whose others are the signal."""
    num_frames = len(signal) // per_frame
    counts = np.where(np.isnan(signal), -32768, np.round(signal * GAIN) + BASELINE)
    others = [counts.reshape(num_frames, per_frame)] * (len(channels) - 1)
    frames = np.hstack([np.zeros((num_frames, 1)), *others])
    frames.astype("<i2").tofile(folder / f"{name}.dat")
    lines = [f"{name} {len(channels)} 62.5 {num_frames}"]
    for position, channel in enumerate(channels):
        per = f"x{per_frame}" if position else ""
        lines.append(f"{name}.dat 16{per} {GAIN:g}({BASELINE})/NU 16 0 0 0 0 {channel}")
    path = folder / f"{name}.hea"
    path.write_text("\n".join([*lines, *(f"#{comment}" for comment in comments)]) + "\n")
    return path


def read(source: Path) -> Recording:
    (ref,) = find_recordings([source]).refs
    return ref.load()


@pytest.mark.parametrize("source", ["", "r1.hea", "r1.dat", "r1"])
def test_a_record_is_found_by_its_folder_header_signals_or_name(tmp_path: Path, source: str):
    write_record(tmp_path)

    recording = read(tmp_path / source)

    assert (recording.recording_id, recording.subject_id) == ("r1", "r1")
    assert recording.fs_hz == 62.5
    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-6)


def test_signal_files_are_part_of_their_record(tmp_path: Path):
    header = write_record(tmp_path)

    found = find_recordings([tmp_path])

    assert found.skipped == []
    assert found.refs[0].size_bytes == sum(p.stat().st_size for p in tmp_path.iterdir())
    assert found.refs[0].path == header


def test_missing_samples_are_nan(tmp_path: Path):
    signal = PULSE.copy()
    signal[10:20] = np.nan

    recording = read(write_record(tmp_path, signal=signal))

    np.testing.assert_array_equal(np.flatnonzero(np.isnan(recording.signal)), np.arange(10, 20))


def test_all_samples_of_a_frame_are_kept(tmp_path: Path):
    recording = read(write_record(tmp_path, per_frame=2))

    assert recording.fs_hz == 125.0
    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-6)


def test_segments_are_joined_and_what_lies_between_is_missing(tmp_path: Path):
    write_record(tmp_path, "s1", per_frame=2)
    write_record(tmp_path, "s2", per_frame=2, channels=("II", "RESP", "PLETH"))
    write_record(tmp_path, "s3", per_frame=2, channels=("II", "RESP"))
    (tmp_path / "m.hea").write_text("m/4 2 62.5 1600\ns1 500\n~ 100\ns2 500\ns3 500\n")

    found = find_recordings([tmp_path])

    recording = found.refs[0].load()
    gap, no_channel = np.full(200, np.nan), np.full(1000, np.nan)
    assert [ref.recording_id for ref in found.refs] == ["m"]
    assert found.skipped == []
    assert recording.fs_hz == 125.0
    np.testing.assert_allclose(
        recording.signal, np.concatenate([PULSE, gap, PULSE, no_channel]), atol=1e-6
    )


def test_a_layout_segment_names_the_channels_and_holds_no_samples(tmp_path: Path):
    write_record(tmp_path, "s1")
    (tmp_path / "m_layout.hea").write_text(
        "m_layout 2 62.5 0\n~ 0 1000/mV 16 0 0 0 0 II\n~ 0 1000/mV 16 0 0 0 0 PLETH\n"
    )
    (tmp_path / "m.hea").write_text("m/2 2 62.5 1000\nm_layout 0\ns1 1000\n")

    np.testing.assert_allclose(read(tmp_path).signal, PULSE, atol=1e-6)


@pytest.mark.parametrize(
    ("comments", "subject_id", "labels"),
    [
        (["Asystole", "False alarm"], "r1", {}),
        (["<age>: 69  <sex>: M  <diagnoses>: (none)"], "r1", {"age": 69.0, "sex": "M"}),
        (["Age: 90+", "Gender: F", "Subject: p7"], "p7", {"age": 90.0, "sex": "F"}),
        (["age: ?"], "r1", {}),
    ],
)
def test_age_sex_and_subject_come_from_the_header(
    tmp_path: Path, comments: list[str], subject_id: str, labels: dict[str, float | str]
):
    recording = read(write_record(tmp_path, comments=comments))

    assert recording.subject_id == subject_id
    assert recording.labels == labels


def test_records_of_the_matched_subset_of_mimic_name_their_patient(tmp_path: Path):
    recording = read(write_record(tmp_path, "p000020-2183-04-28-17-47"))

    assert recording.subject_id == "p000020"


def test_a_record_without_ppg_names_its_channels(tmp_path: Path):
    path = write_record(tmp_path, channels=("II", "ABP"))

    with pytest.raises(
        RecordingError, match=r"r1\.hea: no PPG channel; channels are II, ABP; pick"
    ):
        find_recordings([path])
    assert len(find_recordings([path], channel="abp").refs[0].load().signal) == 1000


def test_damaged_records_are_refused_by_name(tmp_path: Path):
    path = write_record(tmp_path)
    signals = path.with_suffix(".dat")

    signals.write_bytes(signals.read_bytes()[:2001])
    with pytest.raises(RecordingError, match=r"r1\.hea: cannot be read as wfdb"):
        find_recordings([path]).refs[0].load()
    signals.unlink()
    with pytest.raises(RecordingError, match=r"r1\.hea: r1\.dat belongs to it and is not beside"):
        find_recordings([path])
    path.write_text("\x00\x01")
    with pytest.raises(RecordingError, match=r"r1\.hea: cannot be read as wfdb"):
        find_recordings([path])
