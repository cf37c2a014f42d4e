"""kill -9 at each named point of a job's life: it goes on from what was published and ends once."""

import signal
import sys
from pathlib import Path

import mortal_runs
import mortal_worker
import pytest
from damage import damage
from pulse_jobs import make_pulses, pulse_config
from worker_bench import Bench, wait_until_gone

from ppgssl.jobs.records import NewJob

STEPS = 25  # checkpoints after 10 and 20
WORKERS_POINTS = [point for point in mortal_worker.POINTS if point != "after complete"]


def start_mortal_worker(bench: Bench, point: str):
    script = Path(mortal_worker.__file__)
    return bench.start_worker([sys.executable, str(script), point])


def published_step(bench: Bench, job_id: str) -> int:
    """The step that an attempt which starts now continues from."""
    rows = bench.store.checkpoints(job_id)
    return next((row.step for row in rows if row.name == "last"), 0)


@pytest.mark.parametrize("point", WORKERS_POINTS)
def test_a_worker_that_dies_loses_one_attempt_and_nothing_else(bench: Bench, point: str):
    job_id = bench.create(steps=STEPS, step_s=0.01)

    exit_code = start_mortal_worker(bench, point).wait()
    published = published_step(bench, job_id)
    bench.start_worker()
    job = bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert exit_code == -signal.SIGKILL
    assert job.attempt == 2
    assert "(worker_lost)" in "\n".join(job.warnings)
    assert bench.log(job_id)[-1] == f"attempt 2 goes on after step {published}"
    assert damage(bench, job_id, STEPS) == []


def test_a_worker_that_is_killed_takes_its_run_along_and_the_job_goes_on(bench: Bench):
    job_id = bench.create(steps=60, step_s=0.02)
    first = bench.start_worker()
    bench.wait_for_step(job_id, 13)

    first.kill()
    wait_until_gone(job_id)
    bench.start_worker()
    job = bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert job.attempt == 2
    assert "(worker_lost)" in job.warnings[0]
    assert damage(bench, job_id, 60) == []


def test_a_worker_that_dies_once_the_end_is_written_repeats_nothing(bench: Bench):
    job_id, following = bench.create(steps=STEPS), bench.create(steps=STEPS)

    exit_code = start_mortal_worker(bench, "after complete").wait()
    bench.start_worker()
    bench.wait_for_status(following, "succeeded")
    bench.stop_workers()

    assert exit_code == -signal.SIGKILL
    assert bench.store.get(job_id).attempt == 1
    assert damage(bench, job_id, STEPS) == []


@pytest.mark.parametrize("point", mortal_runs.POINTS)
def test_a_run_that_dies_continues_from_the_checkpoint_before(bench: Bench, point: str):
    job_id = bench.create(steps=STEPS)

    start_mortal_worker(bench, point)
    job = bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert job.attempt == 2
    assert "(process_died)" in job.warnings[0]
    assert bench.log(job_id)[-1] == "attempt 2 goes on after step 10"
    assert damage(bench, job_id, STEPS) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", [*WORKERS_POINTS, *mortal_runs.POINTS])
def test_a_training_that_dies_anywhere_has_the_losses_of_one_that_lived(bench: Bench, point: str):
    make_pulses(bench.settings.data_root / "pulses")
    config = pulse_config("training.epochs=4", "device=cpu")
    mortal = bench.store.create(NewJob("pretrain", config, dataset="pulses")).id

    worker = start_mortal_worker(bench, point)
    if point in mortal_runs.POINTS:
        bench.wait_for_status(mortal, "succeeded")
        worker.kill()
    worker.wait()
    alive = bench.store.create(NewJob("pretrain", config, dataset="pulses")).id
    bench.start_worker([sys.executable, "-m", "worker"])
    attempts = [bench.wait_for_status(job_id, "succeeded").attempt for job_id in (mortal, alive)]

    assert attempts == [2, 1]
    assert bench.history(mortal) == bench.history(alive)
