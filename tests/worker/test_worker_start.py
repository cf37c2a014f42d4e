"""A worker that could do no job says so in one line, and does not start."""

from pathlib import Path

import pytest
import torch
from refusals import refusal

from worker.main import main


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PPGSSL_ARTIFACT_ROOT", str(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_worker_without_its_cuda_device_does_not_start(monkeypatch, capsys):
    monkeypatch.setenv("PPGSSL_DEVICE", "cuda")

    line = refusal(main, capsys)

    assert line.startswith("error: PPGSSL_DEVICE: ")
    assert "0 CUDA devices are available" in line


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "use sqlite:///FILE"),
        ("postgresql://ppg:secret@127.0.0.1:1/jobs", "start the database"),
    ],
)
def test_a_worker_without_a_database_does_not_start(url: str, reason: str, monkeypatch, capsys):
    monkeypatch.setenv("PPGSSL_DATABASE_URL", url)

    line = refusal(main, capsys)

    assert reason in line
    assert "secret" not in line


def test_a_file_that_is_no_database_is_named(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "notes.txt").write_text("no database at all, but long enough to be read " * 9)
    monkeypatch.setenv("PPGSSL_DATABASE_URL", f"sqlite:///{tmp_path}/notes.txt")

    assert "file is not a database" in refusal(main, capsys)
