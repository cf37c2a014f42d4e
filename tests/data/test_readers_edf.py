"""EDF, EDF+ and BDF files."""

from pathlib import Path

import edfio
import numpy as np
import pytest

from ppgssl.data.recordings import find_recordings
from ppgssl.errors import RecordingError

PULSE = 40 + 3 * np.sin(np.arange(640) / 10)
ECG = np.cos(np.arange(1280) / 10)


def write_edf(path: Path, *, label: str = "Pleth", code: str = "X", sex: str = "X") -> Path:
    signals = [
        edfio.EdfSignal(ECG, 128, label="ECG", physical_dimension="mV"),
        edfio.EdfSignal(PULSE, 64, label=label, physical_dimension="%"),
    ]
    patient = edfio.Patient(code=code, sex=sex)
    notes = [edfio.EdfAnnotation(1, None, "lights off")]
    edfio.Edf(signals, patient=patient, annotations=notes).write(path)
    return path


@pytest.mark.parametrize("label", ["Pleth", "PLETH", "PPG", "SpO2 BVP", "PlethWV", "Plesmo"])
def test_the_ppg_channel_is_read_in_its_physical_unit(tmp_path: Path, label: str):
    path = write_edf(tmp_path / "a.edf", label=label)

    recording = find_recordings([path]).refs[0].load()

    assert (recording.recording_id, recording.subject_id, recording.fs_hz) == ("a", "a", 64.0)
    assert recording.labels == {}
    assert recording.signal.dtype == np.float32
    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-4)


def test_a_patient_who_is_named_is_the_subject(tmp_path: Path):
    path = write_edf(tmp_path / "a.edf", code="MCH-0234567", sex="F")

    recording = find_recordings([path]).refs[0].load()

    assert recording.subject_id == "MCH-0234567"
    assert recording.labels == {"sex": "F"}


def test_a_bdf_file_is_read_in_its_24_bits(tmp_path: Path):
    signals = [edfio.BdfSignal(ECG, 128, label="ECG"), edfio.BdfSignal(PULSE, 64, label="PPG")]
    edfio.Bdf(signals).write(tmp_path / "a.bdf")

    recording = find_recordings([tmp_path]).refs[0].load()

    assert recording.fs_hz == 64.0
    np.testing.assert_allclose(recording.signal, PULSE, atol=4e-6)


def test_a_file_that_was_never_closed_is_read_as_far_as_it_goes(tmp_path: Path):
    path = write_edf(tmp_path / "a.edf")
    content = path.read_bytes()
    path.write_bytes(content[:236] + b"-1      " + content[244:])

    assert len(find_recordings([path]).refs[0].load().signal) == 640


def test_a_file_without_ppg_names_its_channels(tmp_path: Path):
    path = write_edf(tmp_path / "a.edf", label="EEG C3")

    with pytest.raises(RecordingError, match=r"a\.edf: no PPG channel; channels are ECG, EEG C3;"):
        find_recordings([path])

    assert len(find_recordings([path], channel="ecg").refs[0].load().signal) == 1280


def test_gaps_between_data_records_are_refused(tmp_path: Path):
    path = write_edf(tmp_path / "a.edf")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"+5\x14\x14", b"+6\x14\x14").replace(b"EDF+C", b"EDF+D"))

    with pytest.raises(RecordingError, match=r"a\.edf: has gaps between its data records"):
        find_recordings([path]).refs[0].load()


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (5000, r"the file is cut off; its header says \d+ bytes, it has 5000"),
        (600, "the file is cut off within its header"),
        (100, "has no header of EDF or BDF"),
    ],
)
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, kept: int, message: str):
    path = write_edf(tmp_path / "a.edf")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(RecordingError, match=rf"a\.edf: {message}"):
        find_recordings([path])


def test_something_else_is_refused_by_name(tmp_path: Path):
    (tmp_path / "a.edf").write_text("time,ppg\n" * 100)

    with pytest.raises(RecordingError, match=r"a\.edf: has no header of EDF or BDF"):
        find_recordings([tmp_path / "a.edf"])
