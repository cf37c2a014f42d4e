"""The kind `pretrain`: the real trainer in the real worker."""

import sys

import pytest
from orders import refusal
from pulse_jobs import make_pulses, pulse_config
from worker_bench import Bench

from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.records import NewJob
from ppgssl.jobs.settings import Settings

REAL_WORKER = [sys.executable, "-m", "worker"]


def create(bench: Bench, *overrides: str, dataset: str = "pulses") -> str:
    config = pulse_config(*overrides)
    return bench.store.create(NewJob("pretrain", config, dataset=dataset)).id


def test_a_pretraining_job_leaves_losses_and_an_encoder(bench: Bench):
    make_pulses(bench.settings.data_root / "pulses")
    job_id = create(bench)

    bench.start_worker(REAL_WORKER)
    job = bench.wait(job_id, lambda job: job.status.is_finished)

    files = {file["name"] for file in bench.store.checkpoint(job_id, "best").files}
    steps = [(row.step, row.split) for row in bench.store.losses(job_id)]
    assert (job.status, job.error) == ("succeeded", None)
    assert steps == [
        (1, "train"), (2, "train"), (3, "train"), (3, "val"),
        (4, "train"), (5, "train"), (6, "train"), (6, "val"),
    ]  # fmt: skip
    assert {"encoder.safetensors", "encoder.json", "state.pt", "history.parquet"} <= files
    assert job.plan is not None
    assert job.plan["windows"] == {"train": 24, "val": 8}
    assert job.progress is not None
    assert job.progress["fraction"] == 1.0


@pytest.mark.parametrize(
    ("overrides", "dataset", "code", "message"),
    [
        ([], "nowhere", "dataset_invalid", "nowhere"),
        (["data.window_seconds=10.24"], "pulses", "config_invalid", "data.window_seconds=5.12"),
        (["device=cuda:7"], "pulses", "device_unavailable", "cuda:7"),
    ],
)
def test_a_job_that_cannot_be_run_says_why_and_what_would_mend_it(
    settings: Settings, overrides: list[str], dataset: str, code: str, message: str
):
    make_pulses(settings.data_root / "pulses")

    error = refusal(settings, JobKind.PRETRAIN, pulse_config(*overrides), dataset)

    assert error.code == code
    assert message in str(error)


@pytest.mark.slow
def test_a_job_that_collapses_and_may_not_go_on_fails_and_keeps_its_checkpoint(bench: Bench):
    make_pulses(bench.settings.data_root / "pulses")
    as_drawn = ["model.pooling=mean", "model.pose_channels=0"]
    hundred_steps = ["training.batch_size=1", "training.epochs=9", "training.warmup_epochs=0"]
    job_id = create(bench, *as_drawn, *hundred_steps, "training.fail_on_collapse=true")

    bench.start_worker(REAL_WORKER)
    job = bench.wait(job_id, lambda job: job.status.is_finished)

    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "collapsed")
    assert "mean pooling forgets where the beats are" in job.error["message"]
    assert bench.store.checkpoint(job_id, "last").step == 120  # five epochs: 100 steps and more


@pytest.mark.slow
def test_a_job_paused_and_resumed_has_the_losses_of_one_that_never_stopped(bench: Bench):
    make_pulses(bench.settings.data_root / "pulses")
    undisturbed, paused = (create(bench, "training.epochs=30", "device=cpu") for _ in range(2))

    bench.start_worker(REAL_WORKER)
    bench.wait_for_status(undisturbed, "succeeded")
    bench.wait_for_step(paused, 20)
    bench.store.request_pause(paused)
    bench.wait_for_status(paused, "paused")
    stopped_at = bench.store.losses(paused)[-1].step
    bench.store.request_resume(paused)
    bench.wait_for_status(paused, "succeeded")

    assert 20 <= stopped_at < 90
    assert bench.history(paused) == bench.history(undisturbed)
