"""PostgreSQL under load: crashed and restarted, and with a client that froze in a transaction."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import frozen_in_a_write
import pytest
from damage import damage
from postgres_server import PostgresServer, running_postgres
from worker_bench import Bench

pytestmark = pytest.mark.postgres

STEPS = 60


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that nobody else needs."""
    with running_postgres() as server:
        if server is None:
            pytest.skip("no PostgreSQL server: install Debian's postgresql, or put initdb on PATH")
        yield server


@pytest.fixture
def database_url(own_server: PostgresServer) -> str:
    return own_server.create("jobs")


def test_a_database_that_crashes_under_load_loses_and_repeats_nothing(
    bench: Bench, own_server: PostgresServer, record_property
):
    jobs = [bench.create(steps=STEPS, step_s=0.02, max_attempts=20) for _ in range(10)]
    for _ in range(2):
        bench.start_worker()
    away_s = []
    for job_id in jobs[:4]:
        bench.wait(job_id, lambda job: job.status != "queued")
        began = time.monotonic()
        own_server.crash()
        own_server.start()
        away_s.append(time.monotonic() - began)
    attempts = [bench.wait_for_status(job_id, "succeeded").attempt for job_id in jobs]
    bench.stop_workers()

    record_property("crashes", len(away_s))
    record_property("longest time away, s", round(max(away_s), 2))
    record_property("attempts of ten jobs", sum(attempts))
    assert [damage(bench, job_id, STEPS) for job_id in jobs] == [[]] * 10


def test_a_database_that_is_away_for_longer_than_a_lease_costs_one_attempt(
    bench: Bench, own_server: PostgresServer, record_property
):
    job_id = bench.create(steps=STEPS, step_s=0.05)
    bench.start_worker()
    bench.wait_for_step(job_id, 13)

    own_server.crash()
    time.sleep(2 * bench.settings.lease_seconds)
    own_server.start()
    back = time.monotonic()
    bench.wait(job_id, lambda job: job.attempt == 2)
    record_property("claimed again after, s", round(time.monotonic() - back, 2))
    bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert damage(bench, job_id, STEPS) == []


@pytest.mark.slow
def test_a_worker_that_froze_in_a_transaction_does_not_keep_its_job(bench: Bench, record_property):
    job_id = bench.create(steps=STEPS, step_s=0.01)
    frozen = bench.start_worker([sys.executable, str(Path(frozen_in_a_write.__file__))])
    bench.wait_for_status(job_id, "running")

    bench.start_worker()
    began = time.monotonic()
    bench.wait(job_id, lambda job: job.attempt == 2)
    record_property("claimed again after, s", round(time.monotonic() - began, 1))
    frozen.send_signal(signal.SIGCONT)
    bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert frozen.returncode == 0  # it is well, and went on with other jobs until it was stopped
    assert damage(bench, job_id, STEPS) == []
