"""A worker that is frozen past its lease (SIGSTOP, a suspended machine) and wakes: too late."""

import os
import signal

from damage import damage
from worker_bench import Bench, child_pids

STEPS = 60


def test_a_worker_frozen_past_its_lease_writes_nothing_more_once_it_wakes(bench: Bench):
    job_id = bench.create(steps=STEPS, step_s=0.03)
    frozen = bench.start_worker()
    bench.wait_for_step(job_id, 3)

    bench.freeze(frozen)
    bench.start_worker()
    bench.wait(job_id, lambda job: job.attempt >= 2)
    frozen.send_signal(signal.SIGCONT)
    bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert "its run was ended and nothing more is written" in bench.worker_logs()
    assert damage(bench, job_id, STEPS) == []


def test_a_frozen_run_that_wakes_spoils_none_of_its_successors_files(bench: Bench):
    job_id = bench.create(steps=STEPS, step_s=0.03)
    frozen = bench.start_worker()
    bench.wait_for_step(job_id, 13)
    (frozen_child,) = child_pids(job_id)

    bench.freeze(frozen)
    os.kill(frozen_child, signal.SIGSTOP)
    bench.start_worker()
    bench.wait(job_id, lambda job: job.attempt == 2)
    os.kill(frozen_child, signal.SIGCONT)  # its worker does not hold it back yet
    bench.wait_for_step(job_id, 25)
    frozen.send_signal(signal.SIGCONT)
    bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert {row.attempt for row in bench.store.checkpoints(job_id)} == {2}
    assert damage(bench, job_id, STEPS) == []
