"""The kind `evaluate`: a real evaluation of a tiny encoder in the real worker."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from labelled_pulses import SUBJECTS, WINDOWS_EACH, make_labelled_pulses
from orders import refusal
from worker_bench import Bench

from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.records import NewJob
from ppgssl.jobs.settings import Settings

REAL_WORKER = [sys.executable, "-m", "worker"]
QUICK = {"label_efficiency": False, "robustness": False, "references": False}


def make_ready(settings: Settings, encoder_folder: Path) -> None:
    """A labelled dataset and a kept encoder."""
    make_labelled_pulses(settings.data_root / "pulses")
    shutil.copytree(encoder_folder / "best", settings.kept_encoders / "kept")


@pytest.fixture
def ready(bench: Bench, encoder_folder: Path) -> Bench:
    make_ready(bench.settings, encoder_folder)
    return bench


def config_of(sha256: str = "kept", **config: Any) -> dict[str, Any]:
    whole = {
        "model": "default",
        "labels": ["hr_bpm"],
        "encoder": {"job_id": None, "checkpoint": None, "sha256": sha256},
        "encoders_beside": {},
    }
    return whole | QUICK | config


def create(bench: Bench, dataset: str = "pulses", **config: Any) -> str:
    return bench.store.create(NewJob("evaluate", config_of(**config), dataset=dataset)).id


def stages(bench: Bench, job_id: str) -> list[tuple[float, str]]:
    """What the progress events told."""
    events = bench.store.events(job_id).items
    return [(e.data["fraction"], e.data["stage"]) for e in events if e.type == "progress"]


def report_folder(bench: Bench, job_id: str) -> Path:
    """Where the newest claim's report lies."""
    claim = bench.store.newest_claim(job_id)
    assert claim is not None
    return bench.settings.report_folder(job_id, claim)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_evaluation_leaves_a_report_and_no_checkpoint(ready: Bench):
    job_id = create(ready, encoders_beside={"twin": {"sha256": "kept"}})

    ready.start_worker(REAL_WORKER)
    job = ready.wait(job_id, lambda job: job.status.is_finished)

    folder = report_folder(ready, job_id)
    report = json.loads((folder / "report.json").read_text())
    assert (job.status, job.error) == ("succeeded", None)
    assert job.progress is not None
    assert (job.progress["fraction"], job.progress["epoch"]) == (1.0, None)
    assert (job.best, list(ready.store.checkpoints(job_id))) == (None, [])
    assert list(ready.store.losses(job_id)) == []
    assert report["windows"] == SUBJECTS * WINDOWS_EACH
    assert [label["label"] for label in report["labels"]] == ["hr_bpm"]
    assert {"encoder", "twin"} <= report["labels"][0]["scores"].keys()
    assert {"report.json", "report.md"} < names_in(folder)
    assert names_in(folder.parent) == {"order.json", "report"}
    assert any("reading the dataset" in line for line in ready.log(job_id))


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"sha256": "absent"}, "checkpoint_invalid", "no encoder in"),
        ({"labels": ["spo2"]}, "invalid_input", "'spo2' cannot be probed: the data has only"),
    ],
)
def test_an_evaluation_that_cannot_be_done_says_why_and_what_would_mend_it(
    settings: Settings, encoder_folder: Path, change: dict[str, Any], code: str, message: str
):
    make_ready(settings, encoder_folder)

    error = refusal(settings, JobKind.EVALUATE, config_of(**change), "pulses")

    assert error.code == code
    assert message in str(error)


def begun(bench: Bench, **config: Any) -> str:
    """The id of an evaluation that is under way."""
    make_labelled_pulses(bench.settings.data_root / "many", windows_each=40)
    job_id = create(bench, "many", **config)
    bench.start_worker(REAL_WORKER)
    bench.wait(job_id, lambda job: job.progress is not None)
    return job_id


def test_an_evaluation_is_cancelled_within_seconds(ready: Bench):
    job_id = begun(ready, robustness=True, references=True, label_efficiency=True)

    ready.store.request_cancel(job_id)
    job = ready.wait_for_status(job_id, "cancelled")

    assert job.error is None
    assert not report_folder(ready, job_id).exists()


@pytest.mark.slow
def test_an_evaluation_whose_worker_was_killed_begins_anew(ready: Bench):
    job_id = begun(ready)

    ready.workers[0].kill()
    ready.start_worker(REAL_WORKER)
    job = ready.wait_for_status(job_id, "succeeded")

    shares = [share for share, _ in stages(ready, job_id)]
    assert job.attempt == 2
    assert shares.count(0.0) >= 2
    assert (report_folder(ready, job_id) / "report.json").is_file()


def test_a_report_of_an_attempt_whose_success_was_lost_goes_with_its_folder(ready: Bench):
    job_id = create(ready)
    abandoned = ready.settings.report_folder(job_id, claim=1)
    abandoned.mkdir(parents=True)
    (abandoned / "old.png").write_bytes(b"old")

    ready.start_worker(REAL_WORKER)
    ready.wait_for_status(job_id, "succeeded")

    assert not abandoned.parent.exists()
    assert (report_folder(ready, job_id) / "report.json").is_file()
