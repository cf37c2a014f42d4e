"""Real worker processes and real children, on jobs that behave and on jobs that do not."""

import hashlib
import os
import signal
import time
from pathlib import Path

import pytest
from worker_bench import Bench, undisturbed

from ppgssl.jobs.tables import Checkpoint

STEPS = 30


def child_pids(job_id: str) -> list[int]:
    """Processes that work on the job's order."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if b"worker.child" in command and job_id.encode() in command and state != "Z":
            found.append(int(process.name))
    return found


def wait_until_gone(job_id: str) -> None:
    deadline = time.monotonic() + 5
    while child_pids(job_id):
        assert time.monotonic() < deadline, "the child outlived its worker"
        time.sleep(0.02)


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
        "windows_per_s": None,
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


# ------------------------------------------------------------------------------- worker lost


def test_a_worker_killed_with_sigkill_takes_its_child_along_and_the_job_goes_on(bench: Bench):
    job_id = bench.create(steps=60, step_s=0.02)
    first = bench.start_worker()
    bench.wait_for_step(job_id, 13)

    os.kill(first.pid, signal.SIGKILL)
    wait_until_gone(job_id)
    bench.start_worker()
    job = bench.wait_for_status(job_id, "succeeded")

    assert job.attempt == 2
    assert "(worker_lost)" in job.warnings[0]
    assert bench.history(job_id) == undisturbed(60)


def test_a_worker_frozen_past_its_lease_writes_nothing_more_once_it_wakes(bench: Bench):
    job_id = bench.create(steps=100, step_s=0.03)
    frozen = bench.start_worker()
    bench.wait_for_step(job_id, 3)

    bench.freeze(frozen)
    bench.start_worker()
    bench.wait(job_id, lambda job: job.attempt == 2)
    frozen.send_signal(signal.SIGCONT)
    job = bench.wait_for_status(job_id, "succeeded")

    assert job.attempt == 2
    assert bench.history(job_id) == undisturbed(100)
    assert "its run was ended and nothing more is written" in bench.worker_logs()


def test_a_frozen_run_that_wakes_spoils_none_of_its_successors_files(bench: Bench):
    job_id = bench.create(steps=60, step_s=0.03)
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

    attempts = bench.settings.attempts_folder(job_id)
    rows = bench.store.checkpoints(job_id)
    named = {bench.settings.artifact_root / row.folder for row in rows}
    assert bench.history(job_id) == undisturbed(60)
    assert {row.attempt for row in rows} == {2}
    assert all(is_as_listed(bench, row) for row in rows)
    assert set(attempts.glob("*/steps/*")) == named


def is_as_listed(bench: Bench, row: Checkpoint) -> bool:
    """Whether a checkpoint's file is the one that its row tells of."""
    (file,) = row.files
    content = (bench.settings.artifact_root / row.folder / file["name"]).read_bytes()
    return hashlib.sha256(content).hexdigest() == file["sha256"]


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
