"""`ppgssl inspect`: what it prints, draws, and how it exits."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ppgssl.cli.main import app

FS_HZ = 64


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    beat = 2 * np.pi * 72 / 60 * np.arange(20 * FS_HZ) / FS_HZ
    np.save(tmp_path / "p[1].npy", np.sin(beat).astype(np.float32))
    return tmp_path / "p[1].npy"


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_a_recording_is_printed_and_drawn(recording: Path, tmp_path: Path):
    result = inspect(recording, "--fs", FS_HZ, "--plot", tmp_path / "p.png")

    assert result.exit_code == 0, result.output
    assert "p[1]" in result.stdout
    assert "72" in result.stdout
    assert f"wrote {tmp_path / 'p.png'}" in result.stderr
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_json_holds_what_the_tables_show(recording: Path):
    told = json.loads(inspect(recording, "--fs", FS_HZ, "--json").stdout)

    assert told["kind"] == "recordings"
    assert told["recordings"][0]["seconds"] == 20


def test_what_cannot_be_inspected_is_one_line_and_exit_code_2(tmp_path: Path):
    result = inspect(tmp_path / "absent")

    assert result.exit_code == 2
    assert result.stderr.strip().splitlines()[-1].startswith("error:")
    assert "does not exist" in result.stderr
