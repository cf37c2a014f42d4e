"""What a run told is written once, whether a write fails or only its answer is lost."""

import sys
from pathlib import Path

import forgetful_worker
import late_worker
from damage import damage
from worker_bench import Bench

STEPS = 60


def test_a_worker_that_is_not_told_of_its_commits_repeats_nothing(bench: Bench):
    job_id = bench.create(steps=STEPS, step_s=0.01, chatty=True)

    bench.start_worker([sys.executable, str(Path(forgetful_worker.__file__))])
    job = bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert job.attempt == 1
    assert "the answer never came" in bench.worker_logs()
    assert len(bench.log(job_id)) == 1 + STEPS
    assert damage(bench, job_id, STEPS) == []


def test_what_a_run_tells_while_nothing_can_be_written_is_written_after_its_end(bench: Bench):
    job_id = bench.create(steps=STEPS, step_s=0.01, chatty=True)

    bench.start_worker([sys.executable, str(Path(late_worker.__file__))])
    job = bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert job.attempt == 1
    assert "the database is away" in bench.worker_logs()
    assert len(bench.log(job_id)) == 1 + STEPS
    assert damage(bench, job_id, STEPS) == []
