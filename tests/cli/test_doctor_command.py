"""`ppgssl doctor`: what it prints and how it exits."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ppgssl.cli.main import app


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service's folders, on a machine where all is in order."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("PPGSSL_DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setenv("PPGSSL_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    monkeypatch.setenv("PPGSSL_MIN_FREE_BYTES", "0")
    monkeypatch.setenv("PPGSSL_PORT", "0")
    monkeypatch.setenv("PPGSSL_DEVICE", "cpu")
    return tmp_path


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_a_machine_in_order_exits_0_and_is_left_as_it_was(root: Path):
    result = doctor()

    assert result.exit_code == 0, result.output
    assert "ppgssl can run here" in result.stdout
    assert [path.name for path in root.iterdir()] == ["data"]


def test_a_problem_exits_1_and_says_what_to_do(root: Path):
    (root / "data").rmdir()
    (root / "data").touch()

    result = doctor("--json")

    report = json.loads(result.stdout)
    [problem] = [found for found in report["findings"] if found["level"] == "problem"]
    assert result.exit_code == 1
    assert report["ok"] is False
    assert problem["check"] == "data root"
    assert "PPGSSL_DATA_ROOT" in problem["remedy"]


def test_a_setting_that_cannot_be_is_one_of_the_findings(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PPGSSL_PORT", "eighty")

    result = doctor()

    assert result.exit_code == 1
    assert "PPGSSL_PORT" in result.stdout
