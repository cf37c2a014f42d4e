"""Jobs that embed, hit in the middle: the next run goes on and writes what one would have."""

import os
import signal
from pathlib import Path

import pytest
from damage import of_database
from embedding_jobs import RECORDINGS, SLOW_WORKER, create, embeddings, make_ready
from worker_bench import Bench, child_pids, wait_until_gone

from ppgssl.jobs.kinds import PARTS_FOLDER
from ppgssl.jobs.tables import Job


@pytest.fixture
def ready(bench: Bench, encoder_folder: Path) -> Bench:
    make_ready(bench.settings, encoder_folder)
    return bench


def undisturbed(bench: Bench) -> bytes:
    """What a run gives that nobody touches."""
    job_id = create(bench)
    bench.start_worker(SLOW_WORKER)
    bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()
    return embeddings(bench, job_id)


def is_under_way(job: Job) -> bool:
    return bool(job.progress and job.progress["fraction"] > 0.2)


def parts_of(bench: Bench, job_id: str, claim: int) -> int:
    folders = sorted(bench.settings.attempts_folder(job_id).glob("[0-9]*"))
    return len(list((folders[claim] / PARTS_FOLDER).glob("[0-9]*.json")))


def assert_gone_on(bench: Bench, job_id: str) -> None:
    (said,) = (line for line in bench.log(job_id) if "by an earlier run" in line)
    assert f"{3 * RECORDINGS} windows, " in said
    assert ", 0 of them" not in said


@pytest.mark.slow
def test_a_worker_killed_amid_embedding_is_followed_to_the_same_bytes(ready: Bench):
    expected = undisturbed(ready)
    job_id = create(ready)
    first = ready.start_worker(SLOW_WORKER)
    ready.wait(job_id, is_under_way)

    first.kill()
    wait_until_gone(job_id)
    assert 0 < parts_of(ready, job_id, 0) < RECORDINGS
    ready.start_worker(SLOW_WORKER)
    job = ready.wait_for_status(job_id, "succeeded")
    ready.stop_workers()

    assert job.attempt == 2
    assert_gone_on(ready, job_id)
    assert embeddings(ready, job_id) == expected
    assert len(list(ready.settings.attempts_folder(job_id).iterdir())) == 1
    assert list(of_database(ready)) == []


@pytest.mark.slow
def test_a_run_killed_amid_embedding_is_tried_again_to_the_same_bytes(ready: Bench):
    expected = undisturbed(ready)
    job_id = create(ready)
    ready.start_worker(SLOW_WORKER)
    ready.wait(job_id, is_under_way)

    os.kill(child_pids(job_id)[0], signal.SIGKILL)
    job = ready.wait_for_status(job_id, "succeeded")
    ready.stop_workers()

    assert job.attempt == 2
    assert "(process_died)" in job.warnings[0]
    assert_gone_on(ready, job_id)
    assert embeddings(ready, job_id) == expected


@pytest.mark.slow
def test_a_frozen_run_that_wakes_spoils_nothing_of_its_successor(ready: Bench):
    expected = undisturbed(ready)
    job_id = create(ready)
    frozen = ready.start_worker(SLOW_WORKER)
    ready.wait(job_id, is_under_way)
    (frozen_child,) = child_pids(job_id)

    ready.freeze(frozen)
    os.kill(frozen_child, signal.SIGSTOP)
    ready.start_worker(SLOW_WORKER)
    ready.wait(job_id, lambda job: job.attempt == 2 and len(child_pids(job_id)) == 2)
    os.kill(frozen_child, signal.SIGCONT)  # its worker does not hold it back yet
    job = ready.wait_for_status(job_id, "succeeded")
    frozen.send_signal(signal.SIGCONT)
    ready.stop_workers()

    assert job.attempt == 2
    assert_gone_on(ready, job_id)
    assert embeddings(ready, job_id) == expected
    assert "its run was ended and nothing more is written" in ready.worker_logs()
