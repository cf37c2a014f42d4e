"""An API that could not serve says so in one line, and does not start."""

import socket
from pathlib import Path

import pytest
from refusals import refusal

from api.main import main


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PPGSSL_ARTIFACT_ROOT", str(tmp_path))


def test_a_port_that_is_taken_is_named(monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PPGSSL_PORT", str(port))

        line = refusal(main, capsys)

    assert line.startswith(f"error: PPGSSL_PORT: another program listens on 127.0.0.1:{port}")


def test_an_address_of_another_machine_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("PPGSSL_HOST", "192.0.2.1")  # of documentation: nobody has it
    monkeypatch.setenv("PPGSSL_PORT", "0")

    assert "PPGSSL_HOST: cannot listen on 192.0.2.1:0" in refusal(main, capsys)


def test_a_database_that_does_not_answer_is_named_without_its_password(monkeypatch, capsys):
    monkeypatch.setenv("PPGSSL_DATABASE_URL", "postgresql://ppg:secret@127.0.0.1:1/jobs")

    line = refusal(main, capsys)

    assert "start the database" in line
    assert "secret" not in line
