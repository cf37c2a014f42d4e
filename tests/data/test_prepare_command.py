"""`ppgssl prepare` from the outside: exit codes, what it prints, and where."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from made_recordings import FS_HZ, pulse
from typer.testing import CliRunner, Result

from ppgssl.cli.prepare import prepare_command
from ppgssl.data.dataset import open_dataset

app = typer.Typer()
app.command()(prepare_command)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four recordings of 35 s in a Parquet file."""
    path = tmp_path / "recordings.parquet"
    table = pa.table(
        {
            "recording_id": [f"r{k}" for k in range(4)],
            "subject_id": [f"s{k}" for k in range(4)],
            "fs_hz": pa.array([FS_HZ] * 4, pa.float32()),
            "ppg": pa.array([pulse(35, bpm=60 + k) for k in range(4)], pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path)
    return path


def test_a_table_of_windows_per_split_goes_to_stdout(source: Path, tmp_path: Path):
    result = run(source, "--out", tmp_path / "out", "--window-seconds", "10", "--workers", "1")

    assert result.exit_code == 0, result.stderr
    assert "train" in result.stdout
    assert "4 recordings, 0.0 hours" in result.stdout
    assert sum(open_dataset(tmp_path / "out").counts.values()) == 12


def test_json_is_the_only_thing_on_stdout(source: Path, tmp_path: Path):
    result = run(
        source, "--out", tmp_path / "out", "--window-seconds", "10", "--workers", "1", "--json"
    )

    answer = json.loads(result.stdout)
    assert sum(answer["counts"].values()) == 12
    assert answer["unreadable"] == answer["skipped"] == []


def test_window_and_rate_come_from_the_config_and_flags_win(source: Path, tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("data: {window_seconds: 10, fs_hz: 50}\n")

    run(source, "--out", tmp_path / "config", "--config", config, "--workers", "1")
    run(source, "--out", tmp_path / "flag", "--config", config, "--fs", "100", "--workers", "1")

    assert open_dataset(tmp_path / "config").window_samples == 500
    assert open_dataset(tmp_path / "flag").window_samples == 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.parquet"], "absent.parquet"),
        (["{source}", "--window-seconds", "3000"], "no windows of 3000 s"),
        (["{source}", "--window-seconds", "nan"], "window_seconds must be a positive number"),
        (["{source}", "--fs", "10"], "fs_hz must be above 16 Hz"),
        (["{source}", "--config", "absent.yaml"], "cannot read absent.yaml"),
        (["{source}", "--format", "mp3"], "mp3"),
        (["{source}", "--channel", "ECG"], "ECG"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    source: Path, tmp_path: Path, arguments: list[str], message: str
):
    given = [argument.format(source=source) for argument in arguments]

    result = run(*given, "--out", tmp_path / "out", "--workers", "1")

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
