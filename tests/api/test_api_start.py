"""An API that could not serve says so in one line, and does not start."""

import socket
from pathlib import Path

import pytest

from api.main import main


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PPGSSL_ARTIFACT_ROOT", str(tmp_path))


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_port_that_is_taken_is_named(monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PPGSSL_PORT", str(port))

        line = refusal(capsys)

    assert line.startswith(f"error: PPGSSL_PORT: another program listens on 127.0.0.1:{port}")


def test_an_address_of_another_machine_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("PPGSSL_HOST", "192.0.2.1")  # of documentation: nobody has it
    monkeypatch.setenv("PPGSSL_PORT", "0")

    assert "PPGSSL_HOST: cannot listen on 192.0.2.1:0" in refusal(capsys)


def test_a_database_that_does_not_answer_is_named_without_its_password(monkeypatch, capsys):
    monkeypatch.setenv("PPGSSL_DATABASE_URL", "postgresql://ppg:secret@127.0.0.1:1/jobs")

    line = refusal(capsys)

    assert "start the database" in line
    assert "secret" not in line
