"""Many workers, many jobs, and kill -9 at any moment: every job finishes exactly once."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from damage import damage, events_of
from worker_bench import Bench, child_pids

from ppgssl.jobs.records import JobFilter

STEPS = 25
ENDLESS_ATTEMPTS = 1000  # every kill costs one


class Killer:
    """Kills a worker or a run now and then, and starts another worker for each that is gone."""

    def __init__(self, bench: Bench, *, every_s: float) -> None:
        self._bench = bench
        self._every_s = every_s
        self._random = random.Random(0)
        self.worker_kills = 0
        self.run_kills = 0

    def run_until(self, done: Callable[[], bool], *, shots: int) -> None:
        """Shoot at random moments until the condition holds or the last shot is fired."""
        for _ in range(shots):
            if done():
                return
            time.sleep(self._random.uniform(0, 2 * self._every_s))
            if self._random.random() < 0.5:
                self._kill_worker()
            else:
                self._kill_run()

    def _kill_worker(self) -> None:
        alive = [worker for worker in self._bench.workers if worker.poll() is None]
        victim = self._random.choice(alive)
        victim.kill()
        victim.wait()
        self.worker_kills += 1
        self._bench.start_worker()

    def _kill_run(self) -> None:
        runs = child_pids(str(self._bench.settings.artifact_root))  # nobody else's
        if runs:
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(self._random.choice(runs), signal.SIGKILL)
                self.run_kills += 1


def create_jobs(bench: Bench, count: int) -> list[str]:
    return [
        bench.create(steps=STEPS, step_s=0.03, max_attempts=ENDLESS_ATTEMPTS) for _ in range(count)
    ]


def survive(
    bench: Bench, jobs: Sequence[str], *, workers: int, every_s: float, shots: int
) -> Killer:
    """Run jobs with so many workers, under fire from the first step on.

    Where a worker takes longer to start than it lives, only the end of the fire lets jobs end.
    """
    for _ in range(workers):
        bench.start_worker()
    bench.wait_for_step(jobs[0], 1)
    killer = Killer(bench, every_s=every_s)
    killer.run_until(lambda: succeeded(bench, len(jobs)) == len(jobs), shots=shots)
    for job_id in jobs:
        bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()
    return killer


def succeeded(bench: Bench, most: int) -> int:
    return len(bench.store.jobs(JobFilter(status="succeeded"), limit=most).items)


def test_twelve_jobs_finish_exactly_once_under_fire(bench: Bench):
    jobs = create_jobs(bench, 12)

    killer = survive(bench, jobs, workers=3, every_s=0.4, shots=40)

    damages = [damage(bench, job_id, STEPS) for job_id in jobs]
    assert damages == [[]] * 12
    assert killer.worker_kills > 0
    assert killer.run_kills > 0


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_five_hundred_jobs_finish_exactly_once_under_fire(bench: Bench, record_property):
    began = time.monotonic()
    jobs = create_jobs(bench, 500)

    killer = survive(bench, jobs, workers=8, every_s=0.25, shots=1000)

    attempts = [bench.store.get(job_id).attempt for job_id in jobs]
    record_property("minutes", round((time.monotonic() - began) / 60, 1))
    record_property("workers killed", killer.worker_kills)
    record_property("runs killed", killer.run_kills)
    record_property("jobs of more than one attempt", sum(attempt > 1 for attempt in attempts))
    record_property("most attempts of a job", max(attempts))
    record_property("events", sum(len(events_of(bench, job_id)) for job_id in jobs))
    assert [damage(bench, job_id, STEPS) for job_id in jobs] == [[]] * 500
