"""Real worker processes and real children, on jobs that behave and on jobs that do not."""

import hashlib
import signal
import time

import pytest
from worker_bench import Bench, undisturbed, wait_until_gone

STEPS = 30


# ------------------------------------------------------------------------------ ends by itself


def test_a_job_runs_to_its_end_and_leaves_everything_a_watcher_needs(bench: Bench):
    job_id = bench.create(steps=STEPS)

    bench.start_worker()
    job = bench.wait_for_status(job_id, "succeeded")

    best = bench.store.checkpoint(job_id, "best")
    content = (bench.settings.artifact_root / best.folder / "state.json").read_bytes()
    assert bench.history(job_id) == undisturbed(STEPS)
    assert job.progress == {
        "epoch": 1, "epochs": 1, "step": STEPS, "steps": STEPS, "fraction": 1.0, "eta_s": None,
        "windows_per_s": None, "learning_rate": None, "device_memory_bytes": None,
        "device_utilisation": None,
    }  # fmt: skip
    assert (job.attempt, job.error, job.warnings) == (1, None, ["that was quick"])
    assert job.best == {"step": STEPS, "epoch": 1, "val_loss": 1 / STEPS}
    assert best.files[0]["sha256"] == hashlib.sha256(content).hexdigest()
    assert bench.log(job_id) == ["attempt 1 goes on after step 0"]
    assert bench.store.events(job_id).items[-1].is_terminal


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("dataset", "dataset_invalid", "the dataset is damaged; prepare it anew"),
        ("config", "config_invalid", "training.epochs: no"),
        ("nan", "non_finite_loss", "step 5: the loss is not finite"),
        ("self-check", "self_check_failed", "one batch cannot be learnt"),
        ("memory", "out_of_memory", "MemoryError: no memory"),
        ("one window", "out_of_memory", "memory does not hold one window"),
        ("bug", "internal_error", "KeyError: 'typo'"),
    ],
)
def test_an_error_that_no_retry_mends_ends_the_job_with_its_code_and_a_traceback_in_the_log(
    bench: Bench, error: str, code: str, message: str
):
    job_id = bench.create(steps=STEPS, raise_at=5, error=error)

    bench.start_worker()
    job = bench.wait_for_status(job_id, "failed")

    assert job.error == {"code": code, "message": message}
    assert job.attempt == 1
    assert bench.history(job_id) == undisturbed(4)
    assert "Traceback (most recent call last):" in bench.log(job_id)


def test_a_full_disk_is_tried_again_and_the_checkpoint_before_it_stands(bench: Bench):
    job_id = bench.create(steps=STEPS, raise_at=15, error="disk", max_attempts=2)

    bench.start_worker()
    job = bench.wait_for_status(job_id, "failed")

    assert job.error == {"code": "checkpoint_write_failed", "message": "no space left on device"}
    assert job.attempt == 2
    assert bench.store.checkpoint(job_id, "last").step == 10
    assert bench.history(job_id) == undisturbed(14)


def test_a_run_killed_with_sigkill_fails_clearly_once_its_attempts_are_used_up(bench: Bench):
    job_id = bench.create(steps=STEPS, die_at=5, max_attempts=1)

    bench.start_worker()
    job = bench.wait_for_status(job_id, "failed")

    assert job.error is not None
    assert job.error["code"] == "process_died"
    assert job.error["message"] == (
        "its process was killed by SIGKILL; its last lines:\nattempt 1 goes on after step 0"
    )


def test_a_run_killed_with_sigkill_continues_from_its_checkpoint(bench: Bench):
    job_id = bench.create(steps=STEPS, die_at=15)

    bench.start_worker()
    job = bench.wait_for_status(job_id, "succeeded")

    assert job.attempt == 2
    assert "attempt 1 of 3 ended (process_died)" in job.warnings[0]
    assert bench.log(job_id)[-1] == "attempt 2 goes on after step 10"
    assert bench.history(job_id) == undisturbed(STEPS)


def test_a_run_that_takes_too_long_fails_and_is_not_tried_again(bench: Bench):
    job_id = bench.create(steps=10_000, step_s=0.01, max_runtime_s=0.3)

    bench.start_worker()
    job = bench.wait_for_status(job_id, "failed")

    assert job.error == {
        "code": "max_runtime_exceeded",
        "message": "it ran for longer than 0.3 s",
    }
    assert job.attempt == 1


def test_a_run_that_cannot_start_fails_the_job_and_not_the_worker(bench: Bench):
    (bench.settings.artifact_root / "jobs").write_text("a file where a folder should be")
    job_id = bench.create(steps=STEPS)

    worker = bench.start_worker()
    job = bench.wait_for_status(job_id, "failed")

    assert job.error is not None
    assert job.error["message"].startswith("the run could not be started: [Errno")
    assert worker.poll() is None


# ------------------------------------------------------------------------------ asked to end


def test_a_running_job_is_cancelled_within_two_seconds(bench: Bench):
    job_id = bench.create(steps=10_000, step_s=0.01)
    bench.start_worker()
    bench.wait_for_step(job_id, 3)

    began = time.monotonic()
    bench.store.request_cancel(job_id)
    bench.wait_for_status(job_id, "cancelled")

    assert time.monotonic() - began < 2
    wait_until_gone(job_id)


def test_a_run_that_does_not_hear_is_killed_after_its_grace(bench: Bench):
    job_id = bench.create(steps=10_000, step_s=0.01, deaf=True)
    bench.start_worker()
    bench.wait_for_step(job_id, 3)

    began = time.monotonic()
    bench.store.request_cancel(job_id)
    bench.wait_for_status(job_id, "cancelled")

    assert 1.0 <= time.monotonic() - began < 4  # the grace is one second
    wait_until_gone(job_id)


def test_a_job_paused_while_it_runs_resumes_where_it_stopped(bench: Bench):
    job_id = bench.create(steps=60, step_s=0.02)
    bench.start_worker()
    bench.wait_for_step(job_id, 13)

    bench.store.request_pause(job_id)
    bench.wait_for_status(job_id, "paused")
    stopped_at = bench.store.losses(job_id)[-1].step
    bench.store.request_resume(job_id)
    job = bench.wait_for_status(job_id, "succeeded")

    assert job.attempt == 1
    assert bench.log(job_id)[-1] == f"attempt 1 goes on after step {stopped_at}"
    assert bench.history(job_id) == undisturbed(60)


def test_a_worker_told_to_stop_hands_its_job_back_at_once_and_ends_well(bench: Bench):
    job_id = bench.create(steps=10_000, step_s=0.01)
    worker = bench.start_worker()
    bench.wait_for_step(job_id, 3)

    worker.send_signal(signal.SIGTERM)
    exit_code = worker.wait(5)

    job = bench.store.get(job_id)
    assert exit_code == 0
    assert (job.status, job.attempt, job.keeps_attempt) == ("queued", 1, True)
    assert bench.store.checkpoint(job_id, "last").step == bench.store.losses(job_id)[-1].step


def test_an_idle_worker_ends_at_once(bench: Bench):
    worker = bench.start_worker()
    while not bench.settings.liveness_file.exists():
        time.sleep(0.02)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(5) == 0


# ----------------------------------------------------------------------------------- several


def test_two_workers_share_a_queue(bench: Bench):
    jobs = [bench.create(steps=STEPS) for _ in range(4)]

    bench.start_worker()
    bench.start_worker()
    attempts = [bench.wait_for_status(job_id, "succeeded").attempt for job_id in jobs]

    assert attempts == [1] * 4
    assert all(bench.history(job_id) == undisturbed(STEPS) for job_id in jobs)


def test_log_lines_name_the_job_and_the_attempt(bench: Bench):
    job_id = bench.create(steps=1)

    bench.start_worker()
    bench.wait_for_status(job_id, "succeeded")

    assert f'"job_id": "{job_id}", "attempt": 1' in bench.worker_logs()
