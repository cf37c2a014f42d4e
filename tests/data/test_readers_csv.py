"""Text tables as devices, spreadsheets and PhysioNet write them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.recordings import LabelTrack, Recording, find_recordings
from ppgssl.errors import RecordingError

FS_HZ = 64.0
TIMES = np.arange(640) / FS_HZ
PULSE = np.sin(TIMES * 7)
DAY = datetime(2024, 5, 31, 12)

Row = Callable[[float, float], str]


def table(header: str, row: Row, pulse: np.ndarray = PULSE, times: np.ndarray = TIMES) -> str:
    rows = [row(float(t), float(value)) for t, value in zip(times, pulse, strict=True)]
    return "\n".join([*([header] if header else []), *rows])


def read(path: Path, text: str, fs_hz: float | None = None) -> Recording:
    path.write_text(text, encoding="utf-8")
    return find_recordings([path], fs_hz=fs_hz).refs[0].load()


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("time,ppg", lambda t, x: f"{t:.6f},{x:.6f}"),
        ("t\tBVP", lambda t, x: f"{t:.6f}\t{x:.6f}"),
        ("time;ppg", lambda t, x: f"{t:.6f};{x:.6f}".replace(".", ",")),
        ("Time [s], RESP, PLETH, II", lambda t, x: f"{t:.6f}, 1, {x:.6f}, 3"),
        ('"Timestamp (ms)","ppg_green"', lambda t, x: f'"{1000 * t:.0f}","{x:.6f}"'),
        ("timestamp,ppg", lambda t, x: f"{1717156800000 + round(1000 * t)},{x:.6f}"),
        ("timestamp,ppg", lambda t, x: f"{1717156800 + t:.3f},{x:.6f}"),
        ("date,ppg", lambda t, x: f"{(DAY + timedelta(seconds=t)).isoformat()},{x:.6f}"),
        ("time,ppg", lambda t, x: f"{DAY + timedelta(seconds=t)!s:.23},{x:.6f}"),
        ("", lambda t, x: f"{t:.6f},{x:.6f}"),
        (",time,ppg", lambda t, x: f"17,{t:.6f},{x:.6f}"),
        ("# device 7\n# left hand\ntime,ppg", lambda t, x: f"{t:.6f},{x:.6f}"),
        ("\ufefftime,ppg", lambda t, x: f"{t:.6f},{x:.6f}"),
        ("'Elapsed time','PLETH'\n'seconds','NU'", lambda t, x: f"{t:.6f},{x:.6f}"),
        ("time,ppg,ppg_quality", lambda t, x: f"{t:.6f},{x:.6f},1"),
        ("time ppg", lambda t, x: f"  {t:.6f}   {x:.6f} "),
        ("# time ppg resp", lambda t, x: f"{t:.6f} {x:.6f} 7"),
        ("time|ppg", lambda t, x: f"{t:.6f}|{x:.6f}"),
        ("Device: X\n\nRate,64\ntime,ppg,resp", lambda t, x: f"{t:.6f},{x:.6f},1"),
        ("Rate,64\nGain,2\nHand,left\ntime,ppg", lambda t, x: f"{t:.6f},{x:.6f}"),
        ("sep=;\nTime;PPG\ns;mV", lambda t, x: f"{t:.6f};{x:.6f}"),
        ("time,ppg", lambda t, x: f"{t:.6f},{x:.6f},"),
        ("time ppg", lambda t, x: f'"row" {t:.6f} {x:.6f}'),
    ],
)
def test_a_table_with_times_is_read_at_its_rate(tmp_path: Path, header: str, row: Row):
    recording = read(tmp_path / "a.csv", table(header, row))

    assert (recording.recording_id, recording.subject_id, recording.fs_hz) == ("a", "a", FS_HZ)
    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-6)
    assert recording.signal.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "per_second"),
    [
        ("Time [s]", 1.0),
        ("time_ms", 1e3),
        ("timestampMs", 1e3),
        ("ts_us", 1e6),
        ("time", 1e3),
        ("time", 1e6),
        ("time", 1e9),
    ],
)
def test_the_unit_of_times_is_named_or_the_only_possible_one(
    tmp_path: Path, name: str, per_second: float
):
    text = table(f"{name},ppg", lambda t, x: f"{t * per_second:.3f},{x:.6f}")

    assert read(tmp_path / "a.csv", text).fs_hz == FS_HZ


@pytest.mark.parametrize(
    "clock",
    [
        lambda t: f"12:00:{t:06.3f}",
        lambda t: f"05/31/2024 12:00:{t:06.3f} PM",
        lambda t: f"'0:{t:06.3f}'",
        lambda t: f"'[12:00:{t:06.3f} 31/05/2024]'",
        lambda t: (
            f"{datetime(2024, 5, 31, 23, 59, 55) + timedelta(seconds=t):%d.%m.%Y %H:%M:%S.%f}"
        ),
        lambda t: f"12:59:{55 + t:06.3f} AM" if t < 5 else f"1:00:{t - 5:06.3f} AM",
    ],
)
def test_times_may_be_those_of_a_clock(tmp_path: Path, clock: Callable[[float], str]):
    text = table("'Elapsed time','PLETH'\n'hh:mm:ss.mmm','NU'", lambda t, x: f"{clock(t)},{x:.6f}")

    recording = read(tmp_path / "a.csv", text)

    assert recording.fs_hz == FS_HZ
    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-6)


def test_a_clock_that_is_missing_once_is_named(tmp_path: Path):
    text = table("time,ppg", lambda t, x: f"{'' if t == 1 else f'12:00:{t:06.3f}'},{x}")

    with pytest.raises(RecordingError, match="the time of sample 64 is missing"):
        read(tmp_path / "a.csv", text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_spreadsheets_write_other_encodings(tmp_path: Path, encoding: str):
    text = table("time\tppg", lambda t, x: f"{t:.6f}\t{x:.6f}")
    (tmp_path / "a.txt").write_text(text, encoding=encoding)

    recording = find_recordings([tmp_path / "a.txt"]).refs[0].load()

    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-6)


def test_samples_that_are_missing_from_the_start_are_data_and_no_names(tmp_path: Path):
    recording = read(tmp_path / "a.csv", "NaN\nNaN\n1.5\n2.5\n", fs_hz=FS_HZ)

    np.testing.assert_array_equal(recording.signal, [np.nan, np.nan, 1.5, 2.5])


@pytest.mark.parametrize("header", ["", "ppg", "value"])
def test_a_table_without_times_is_read_at_the_given_rate(tmp_path: Path, header: str):
    recording = read(tmp_path / "a.csv", table(header, lambda _, x: f"{x:.6f}"), fs_hz=50.0)

    assert recording.fs_hz == 50.0
    np.testing.assert_allclose(recording.signal, PULSE, atol=1e-6)


def test_the_rate_of_a_table_comes_before_the_given_one(tmp_path: Path):
    text = table("time,ppg", lambda t, x: f"{t:.6f},{x:.6f}")

    assert read(tmp_path / "a.csv", text, fs_hz=50.0).fs_hz == FS_HZ


def test_a_rate_need_not_be_a_whole_number(tmp_path: Path):
    times = np.arange(6247) / 62.4725

    text = table("time,ppg", lambda t, x: f"{t:.4f},{x:.6f}", np.sin(times), times)

    assert read(tmp_path / "a.csv", text).fs_hz == pytest.approx(62.4725, rel=1e-5)


def test_empty_cells_and_nan_are_missing_samples(tmp_path: Path):
    text = "time,ppg\n0,1\n0.01,\n0.02,NaN\n0.03, nan\n0.04,null\n0.05,2"

    recording = read(tmp_path / "a.csv", text)

    np.testing.assert_array_equal(recording.signal, [1, *[np.nan] * 4, 2])
    assert recording.fs_hz == 100.0


def test_an_empty_line_of_a_single_column_is_a_missing_sample(tmp_path: Path):
    recording = read(tmp_path / "a.csv", "1.5\n\n2.5\n", fs_hz=FS_HZ)

    np.testing.assert_array_equal(recording.signal, [1.5, np.nan, 2.5])


def test_a_column_of_subjects_names_the_subject(tmp_path: Path):
    one = table("subject,time,ppg", lambda t, x: f"p7,{t},{x:.6f}")
    two = table("subject,time,ppg", lambda t, x: f"p{int(t > 5)},{t},{x:.6f}")

    assert read(tmp_path / "a.csv", one).subject_id == "p7"
    with pytest.raises(RecordingError, match=r"b\.csv: holds 2 subjects"):
        read(tmp_path / "b.csv", two)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("time,ppg", "no table of numbers"),
        ("The recordings of\nthe summer\nare noisy", "no table of numbers"),
        ("ppg\n1\n2", "no column of times; give its sampling rate"),
        ("time,ecg,acc\n0,1,2\n1,2,3", "no PPG channel; channels are ecg, acc; pick one with"),
        ("0,1,2\n1,2,3", "channels are column 1, column 2, column 3"),
        ("time,ppg\n0,1\n0.1,x\n0.2,3", "invalid value 'x'"),
        ("time,ppg,z\n0,1,2\n0.1,1,2\n0.2,1", "Expected 3 columns, got 2"),
        ("time,ppg\n0,1\n0.1,2\n,3\n0.3,4", "the time of sample 2 is missing"),
        ("time,ppg\n0,1\n1,2\n2,3", "are 1 s apart, .* name it in the header, as in time_ms"),
        ("Time [s],ppg\n0,1\n8,2\n16,3", "are 8 s apart, which is no PPG"),
        ("time,ppg\n3,1\n2,2\n1,3", "the times in 'time' do not increase"),
        ("time,ppg\nnoon,1\nmidnight,2", "noon is no time; expected seconds"),
        ("time,ppg\n12:00:00,1\n12:00:00,2\n12:00:01,3", "are 0.5 s apart, which is no PPG"),
        (",".join(["1"] * 30) + "\n" + ",".join(["2"] * 30), "column 20 and 10 more; pick one"),
        ("time,ppg\n0,1", "1 samples are too few to tell their rate"),
    ],
)
def test_unusable_tables_are_refused_by_name(tmp_path: Path, text: str, message: str):
    with pytest.raises(RecordingError, match=message) as caught:
        read(tmp_path / "a.csv", text)

    assert str(tmp_path / "a.csv") in str(caught.value)


def test_times_with_a_gap_are_refused_where_the_gap_is(tmp_path: Path):
    times = np.where(TIMES < 5, TIMES, TIMES + 2)

    with pytest.raises(RecordingError, match=r"sample 320 2\.016 s after the one before it"):
        read(tmp_path / "a.csv", table("time,ppg", lambda t, x: f"{t},{x}", times=times))


def test_times_that_are_rounded_or_jitter_by_less_than_a_sample_are_even(tmp_path: Path):
    jitter = np.random.default_rng(0).uniform(-0.4, 0.4, len(TIMES)) / FS_HZ

    text = table("time,ppg", lambda t, x: f"{t:.2f},{x}", times=TIMES + jitter)

    assert read(tmp_path / "a.csv", text).fs_hz == FS_HZ


@pytest.mark.parametrize("name", ["HR.csv", "ACC.csv", "EDA.csv", "TEMP.csv", "IBI.csv"])
def test_other_sensors_of_an_empatica_export_are_no_recordings(tmp_path: Path, name: str):
    with pytest.raises(RecordingError, match=r"another sensor of an Empatica export"):
        read(tmp_path / name, "1644226071.0\n1.0\n83.0\n82.0", fs_hz=FS_HZ)


def write_bidmc(folder: Path) -> None:
    (folder / "bidmc_99_Signals.csv").write_text(
        table("Time [s], RESP, PLETH", lambda t, x: f"{t:.6f},0.5,{x:.6f}")
    )
    (folder / "bidmc_99_Numerics.csv").write_text(
        "Time [s], HR, PULSE, RESP, SpO2\n0,94,93,25,97\n1,95,NaN,26,97\n"
    )
    (folder / "bidmc_99_Fix.txt").write_text(
        "bidmc_99\nAge: 90+\nGender: F\nLocation: micu\nMIMIC II matched wdb ID: s01182\n"
    )
    (folder / "bidmc_99_Breaths.csv").write_text("breaths ann1 [signal sample no]\n12\n40\n")


def test_a_recording_of_bidmc_has_its_labels_and_subject_beside_it(tmp_path: Path):
    write_bidmc(tmp_path)

    found = find_recordings([tmp_path])

    recording = found.refs[0].load()
    tracks = {k: v for k, v in recording.labels.items() if isinstance(v, LabelTrack)}
    assert [ref.recording_id for ref in found.refs] == ["bidmc_99"]
    assert found.skipped == []
    assert recording.subject_id == "s01182"
    assert {k: v for k, v in recording.labels.items() if k not in tracks} == {
        "age": 90.0,
        "sex": "F",
        "ward": "micu",
    }
    assert set(tracks) == {"hr_bpm", "pulse_bpm", "resp_bpm", "spo2_pct"}
    assert tracks["hr_bpm"].values.tolist() == [94, 95]
    np.testing.assert_array_equal(tracks["pulse_bpm"].values, [93, np.nan])


def test_a_recording_of_bidmc_may_stand_alone_but_not_its_companions(tmp_path: Path):
    write_bidmc(tmp_path)
    (tmp_path / "alone").mkdir()
    alone = (tmp_path / "bidmc_99_Signals.csv").rename(tmp_path / "alone" / "bidmc_99_Signals.csv")

    found = find_recordings([tmp_path])

    recording = find_recordings([alone]).refs[0].load()
    assert (recording.subject_id, recording.labels) == ("bidmc_99", {})
    assert [ref.path for ref in found.refs] == [alone]
    assert [path.name for path, _ in found.skipped] == [
        "bidmc_99_Breaths.csv",
        "bidmc_99_Fix.txt",
        "bidmc_99_Numerics.csv",
    ]


def test_all_files_of_a_recording_may_be_named(tmp_path: Path):
    write_bidmc(tmp_path)

    assert len(find_recordings(sorted(tmp_path.iterdir())).refs) == 1
