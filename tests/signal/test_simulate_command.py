"""`ppgssl simulate` from the command line."""

import errno
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ppgssl.cli.main import app


def simulate(out: Path, *options: str):
    arguments = ["--out", str(out), "--subjects", "2", "--minutes", "0.5", *options]
    return CliRunner().invoke(app, ["simulate", *arguments])


def test_a_file_per_subject_holds_the_signal_and_its_truth(tmp_path: Path):
    result = simulate(tmp_path / "out", "--fs", "50", "--json")

    assert result.exit_code == 0
    files = json.loads(result.stdout)["files"]
    assert [Path(file).name for file in files] == ["sim-0000.parquet", "sim-0001.parquet"]
    row = pq.read_table(files[1]).to_pylist()[0]
    assert row["subject_id"] == "sim-0001"
    assert row["fs_hz"] == 50
    assert len(row["ppg"]) == 30 * 50
    assert len(row["hr_bpm"]) == len(row["resp_bpm"]) == len(row["artefact"]) == 30
    assert row["rhythm"] in {"sinus", "af", "ectopic"}


@pytest.mark.parametrize(
    "options",
    [
        ("--subjects", "0"),
        ("--minutes", "0"),
        ("--minutes", "inf"),
        ("--minutes", "nan"),
        ("--fs", "1"),
        ("--fs", "inf"),
        ("--seed", "-1"),
    ],
)
def test_a_value_out_of_range_is_bad_usage(tmp_path: Path, options: tuple[str, str]):
    result = simulate(tmp_path / "out", *options)

    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")

    result = simulate(tmp_path / "file")

    assert result.exit_code == 2
    assert "cannot be written" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_disk_that_fills_up_leaves_no_half_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def write_half(table: pa.Table, path: Path, **options: object) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", write_half)

    result = simulate(tmp_path / "out")

    assert result.exit_code == 2
    assert "No space left on device" in " ".join(result.stderr.split())
    assert list((tmp_path / "out").glob("*.parquet")) == []
