"""Memory, folders, disk and port, in states that no healthy machine is in."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppgssl.doctor.findings import Level
from ppgssl.doctor.host import (
    answers_as_ppgssl,
    check_artifact_root,
    check_data_root,
    check_memory,
    check_port,
)
from ppgssl.host_memory import available_memory

GB = 10**9
HOST = "127.0.0.1"


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port at which somebody listens and never answers."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def may_not(_: Path) -> bool:
    return False


def test_little_memory_is_a_warning():
    assert check_memory(3 * GB).level == Level.OK
    assert check_memory(1 * GB).level == Level.WARNING
    assert check_memory(None).level == Level.OK


def test_a_container_has_no_more_memory_than_its_limit_leaves(tmp_path: Path):
    meminfo, limit, used = (tmp_path / name for name in ("meminfo", "max", "current"))
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    limit.write_text("3000000000\n")
    used.write_text("1000000000\n")

    assert available_memory(meminfo, limit, used) == 2 * GB
    limit.write_text("max\n")
    assert available_memory(meminfo, limit, used) == 8_000_000 * 1024


def test_a_data_root_that_is_not_there_yet_names_the_command_that_makes_it(tmp_path: Path):
    finding = check_data_root(tmp_path / "absent")

    assert finding.level == Level.WARNING
    assert finding.remedy == f"ppgssl prepare RECORDINGS --out {tmp_path / 'absent' / 'NAME'}"


def test_a_data_root_that_is_a_file_is_a_problem(tmp_path: Path):
    (tmp_path / "file").touch()

    assert check_data_root(tmp_path / "file").level == Level.PROBLEM


def test_a_data_root_that_cannot_be_written_is_a_warning(tmp_path: Path):
    finding = check_data_root(tmp_path, may_not)

    assert finding.level == Level.WARNING
    assert "cannot be written" in finding.found


def test_a_data_root_without_datasets_names_the_next_command(tmp_path: Path):
    finding = check_data_root(tmp_path)

    assert finding.level == Level.WARNING
    assert finding.remedy == f"ppgssl prepare RECORDINGS --out {tmp_path / 'NAME'}"


def test_a_damaged_dataset_is_named_with_its_fault(tmp_path: Path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "dataset.json").write_text("{")

    finding = check_data_root(tmp_path)

    assert finding.level == Level.WARNING
    assert "1 of 1 datasets cannot be used" in finding.found
    assert "prepare broken again" in finding.remedy


@pytest.mark.parametrize(
    ("free", "level"), [(100 * GB, Level.OK), (3 * GB, Level.WARNING), (GB // 2, Level.PROBLEM)]
)
def test_the_fuller_the_disk_the_worse(tmp_path: Path, free: int, level: Level):
    finding = check_artifact_root(tmp_path, free_bytes=free, min_free_bytes=GB)

    assert finding.level == level


def test_a_full_disk_says_how_much_to_free(tmp_path: Path):
    finding = check_artifact_root(tmp_path, free_bytes=GB // 2, min_free_bytes=2 * GB)

    assert finding.remedy.startswith("free 1.5 GB")


def test_an_artifact_root_need_not_be_there_where_it_can_be_made(tmp_path: Path):
    root = tmp_path / "not" / "yet"

    made = check_artifact_root(root, free_bytes=100 * GB, min_free_bytes=GB)
    refused = check_artifact_root(root, free_bytes=100 * GB, min_free_bytes=GB, may_write=may_not)

    assert (made.level, refused.level) == (Level.OK, Level.PROBLEM)
    assert not (tmp_path / "not").exists()


def test_a_file_is_no_artifact_root(tmp_path: Path):
    (tmp_path / "file").touch()

    finding = check_artifact_root(tmp_path / "file", free_bytes=100 * GB, min_free_bytes=GB)

    assert finding.level == Level.PROBLEM


def test_a_free_port_is_in_order():
    assert check_port(HOST, 0).level == Level.OK


def test_a_port_that_another_program_has_is_a_problem(taken_port: int):
    finding = check_port(HOST, taken_port, lambda host, port: False)

    assert finding.level == Level.PROBLEM
    assert "PPGSSL_PORT" in finding.remedy


def test_a_port_that_this_service_has_is_in_order(taken_port: int):
    assert check_port(HOST, taken_port, lambda host, port: True).level == Level.OK


def test_what_never_answers_is_not_this_service(taken_port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ppgssl.doctor.host.ASK_SECONDS", 0.05)

    assert not answers_as_ppgssl(HOST, taken_port)


def test_an_address_of_another_machine_is_a_problem():
    finding = check_port("192.0.2.1", 8000)  # of TEST-NET-1, which nobody has

    assert finding.level == Level.PROBLEM
    assert "no address of this machine" in finding.found
