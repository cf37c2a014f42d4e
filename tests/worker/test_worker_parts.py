"""The worker's parts by themselves: inbox, heartbeat, liveness, memory, child's environment."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.errors import LeaseLostError
from ppgssl.jobs.records import Lease, LossPoint, NewJob
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.training.memory import is_out_of_memory
from worker.child import error_code
from worker.heartbeat import Heartbeat
from worker.inbox import Inbox
from worker.liveness import is_alive, liveness_file
from worker.memory import oom_kills
from worker.process import child_environment
from worker.run import describe_exit

LEASE = Lease("job_1", "token", "worker-1", 1, 2)


class Refusing:
    """A job table that answers every renewal with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def renew_lease(self, lease: Lease, duration: timedelta) -> None:
        raise self.error


def send(inbox: Inbox, kind: str, **content: object) -> None:
    inbox.add_message(json.dumps({"type": kind, **content}) + "\n")


def wait_until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --------------------------------------------------------------------------------------- inbox


def test_what_is_taken_from_the_inbox_is_taken_once(tmp_path: Path):
    inbox = Inbox(tmp_path, LEASE)
    point = {"step": 1, "epoch": 1, "split": "train", "values": {"total": 0.5}}
    send(inbox, "losses", points=[point])
    send(inbox, "warning", message="hm")
    inbox.add_log_line("a line\n")

    report = inbox.take()

    assert report.points == [LossPoint(1, 1, "train", {"total": 0.5})]
    assert (report.warnings, report.log_lines) == (["hm"], ["a line"])
    assert inbox.take().is_empty


def test_only_the_newest_progress_is_kept_with_its_fraction(tmp_path: Path):
    inbox = Inbox(tmp_path, LEASE)
    for step in (1, 2):
        send(inbox, "progress", step=step, steps=8, windows_per_s=float("inf"))

    report = inbox.take()

    assert report.progress == {"step": 2, "steps": 8, "windows_per_s": None, "fraction": 0.25}


def test_a_checkpoint_that_was_replaced_meanwhile_is_left_out(tmp_path: Path):
    inbox = Inbox(tmp_path, LEASE)
    gone = str(tmp_path / "gone")

    send(inbox, "checkpoint", name="last", step=1, epoch=1, val_loss=None, folder=gone)

    assert inbox.take().is_empty


def test_the_tail_is_the_newest_lines_and_no_nul_reaches_the_table(tmp_path: Path):
    inbox = Inbox(tmp_path, LEASE)
    for n in range(30):
        inbox.add_log_line(f"line {n}\0\n")

    assert inbox.tail[0] == "line 20\N{REPLACEMENT CHARACTER}"
    assert len(inbox.tail) == 10


# ----------------------------------------------------------------------------------- heartbeat


def test_a_heartbeat_keeps_a_lease_that_would_have_run_out(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path}/jobs.sqlite")
    migrate(engine)
    store = JobStore(engine)
    store.create(NewJob("pretrain", {}))
    claim = store.claim("worker-1", ["pretrain"], timedelta(seconds=0.3))
    assert claim is not None

    with Heartbeat(store, claim.lease, every_seconds=0.05, lease_seconds=0.3) as heartbeat:
        time.sleep(0.5)
        lost, recovered = heartbeat.lost, store.recover_expired()
    engine.dispose()

    assert (lost, recovered) == (False, [])


def test_a_refused_renewal_loses_the_lease_at_once():
    store = Refusing(LeaseLostError("gone"))

    with Heartbeat(store, LEASE, every_seconds=0.01, lease_seconds=60) as heartbeat:
        wait_until(lambda: heartbeat.lost)


def test_a_database_that_is_away_loses_the_lease_only_when_it_has_run_out():
    store = Refusing(OperationalError("update", {}, Exception("away")))

    began = time.monotonic()
    with Heartbeat(store, LEASE, every_seconds=0.01, lease_seconds=0.3) as heartbeat:
        wait_until(lambda: heartbeat.lost)

    assert time.monotonic() - began >= 0.3


# ------------------------------------------------------------------------------ small questions


@pytest.mark.parametrize(("age_s", "alive"), [(1, True), (59, True), (61, False)])
def test_a_worker_is_alive_while_its_file_is_fresh(tmp_path: Path, age_s: float, alive: bool):
    file = tmp_path / "alive"
    file.touch()
    os.utime(file, (1000, 1000))

    assert is_alive(file, now=1000 + age_s) is alive


def test_a_worker_that_never_started_is_not_alive(tmp_path: Path):
    assert not is_alive(tmp_path / "alive", now=time.time())


def test_the_liveness_file_is_the_one_of_the_settings(tmp_path: Path):
    assert liveness_file(Settings(liveness_file=tmp_path / "x")) == tmp_path / "x"
    assert liveness_file(Settings()).name == "ppgssl-worker.alive"


def test_kills_for_memory_are_read_from_the_kernels_counters(tmp_path: Path):
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 7\noom_kill 3\n")

    assert oom_kills(vmstat) == 3
    assert oom_kills(tmp_path / "absent") == 0


@pytest.mark.parametrize(
    ("said", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")]
)
def test_idle_threads_sleep_unless_the_user_said_otherwise(said: dict[str, str], expected: str):
    environment = child_environment({"OMP_NUM_THREADS": "3"} | said)

    assert environment["OMP_WAIT_POLICY"] == expected
    assert environment["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("something else"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool):
    assert is_out_of_memory(error) is expected
    assert (error_code(error) == "out_of_memory") is expected


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (-9, ("killed by SIGKILL", True)),
        (-11, ("killed by SIGSEGV", False)),
        (3, ("ended by itself with exit code 3", False)),
    ],
)
def test_the_end_of_a_process_is_put_into_words(exit_code: int, words: tuple[str, bool]):
    assert describe_exit(exit_code) == words
