"""Jobs over HTTP: submit, list, read, cancel, pause, resume, and every way to be refused."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_service import Service, make_dataset, serving, settings_in

from ppgssl.config import load_config
from ppgssl.jobs.records import Report

ACTIONS = ["cancel", "pause", "resume"]


@pytest.fixture
def made(service: Service) -> Service:
    """A service with one dataset: windows of 10 s at 125 Hz."""
    make_dataset(service.settings.data_root / "made")
    return service


@pytest.fixture(scope="module")
def quiet() -> Iterator[Service]:
    """The same for the module's tests that leave nothing behind."""
    with tempfile.TemporaryDirectory() as folder, serving(settings_in(Path(folder))) as service:
        make_dataset(service.settings.data_root / "made")
        yield service


def submit(service: Service, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return service.http.post(
        "/v1/jobs", json={"dataset": "made", "preset": "small"} | body, headers=headers
    )


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


def test_a_job_is_queued_with_its_whole_config(made: Service):
    answer = submit(
        made,
        kind="pretrain",
        config={"training": {"epochs": 3}},
        name="first",
        metadata={"ward": 7},
        priority=2,
        max_attempts=1,
        max_runtime_s=60,
    )

    job = answer.json()
    follows = ["data.window_seconds=10", "data.fs_hz=125"]  # from the dataset
    service = ["training.self_check=warn"]
    settings = ["training.epochs=3", *follows, *service]
    expected = load_config("small", settings).model_dump(mode="json")
    assert answer.status_code == 201
    assert job["config"] == expected
    assert (job["status"], job["dataset"], job["name"]) == ("queued", "made", "first")
    assert (job["metadata"], job["attempt"], job["warnings"]) == ({"ward": 7}, 0, [])
    assert (job["priority"], job["max_attempts"], job["max_runtime_s"]) == (2, 1, 60)
    assert job["progress"] is job["best"] is job["error"] is job["started_at"] is None
    assert job["created_at"].endswith("Z")
    assert made.http.get(f"/v1/jobs/{job['id']}").json() == job


def test_without_a_preset_the_config_lies_over_the_defaults(made: Service):
    answer = submit(made, preset=None, config={"data": {"window_seconds": 10}})

    assert answer.json()["config"]["training"]["epochs"] == 50


def test_a_request_may_do_without_the_self_check(made: Service):
    answer = submit(made, config={"training": {"self_check": "off"}})

    assert answer.json()["config"]["training"]["self_check"] == "off"


def test_a_repeated_request_with_a_key_makes_one_job(made: Service):
    key = {"Idempotency-Key": "monday"}

    first, second = submit(made, key), submit(made, key)
    other = submit(made, key, name="another")

    assert first.json()["id"] == second.json()["id"]
    assert problem_of(other) == (409, "idempotency_key_reused")
    assert len(made.http.get("/v1/jobs").json()["data"]) == 1


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"dataset": "other"}, "dataset_invalid", "'other' does not exist; known: made"),
        ({"dataset": "../made"}, "dataset_invalid", "not a name below the data root"),
        ({"dataset": "/etc"}, "dataset_invalid", "not a name below the data root"),
        ({"preset": "huge"}, "config_invalid", "no preset is called 'huge'; there are"),
        ({"config": {"training": {"epoch": 1}}}, "config_invalid", "did you mean training.epochs?"),
        ({"config": {"device": "tpu"}}, "config_invalid", "device"),
        ({"config": {"data": {"window_seconds": 60}}}, "config_invalid", "1250 samples at 125 Hz"),
        ({"kind": "dance"}, "request_invalid", "body.kind"),
        ({"speed": 1}, "request_invalid", "body.speed"),
        ({"dataset": None}, "request_invalid", "body.dataset"),
        ({"name": "a\x00b"}, "request_invalid", "body.name"),
        ({"max_attempts": 0}, "request_invalid", "body.max_attempts"),
        ({"max_runtime_s": -1}, "request_invalid", "body.max_runtime_s"),
        ({"config": [1]}, "request_invalid", "body.config"),
    ],
)
def test_a_wrong_job_is_refused_when_it_is_submitted(
    quiet: Service, body: dict[str, Any], code: str, message: str
):
    answer = submit(quiet, **body)

    assert problem_of(answer) == (422, code)
    assert message in answer.json()["detail"]
    assert quiet.http.get("/v1/jobs").json()["data"] == []


def test_a_dataset_that_is_damaged_is_refused(made: Service):
    (made.settings.data_root / "made" / "dataset.json").write_text("{")

    assert problem_of(submit(made)) == (422, "dataset_invalid")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_refused(quiet: Service, content_type: str):
    answer = quiet.http.post(
        "/v1/jobs", content='{"dataset": "made"}', headers={"Content-Type": content_type}
    )

    assert problem_of(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1]", b""])
def test_a_body_that_is_no_json_object_is_refused(quiet: Service, content: bytes):
    answer = quiet.http.post(
        "/v1/jobs", content=content, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in {400, 422}
    assert problem_of(answer)[1] in {"body_unreadable", "request_invalid"}


def test_jobs_are_listed_newest_first_page_by_page(service: Service):
    jobs = [service.queue(f"job {n}") for n in range(5)]

    first = service.http.get("/v1/jobs", params={"limit": 3}).json()
    second = service.http.get("/v1/jobs", params={"limit": 3, "after": first["next"]}).json()

    assert [job["id"] for job in first["data"]] == [jobs[4].id, jobs[3].id, jobs[2].id]
    assert [job["id"] for job in second["data"]] == [jobs[1].id, jobs[0].id]
    assert (first["has_more"], second["has_more"], second["next"]) == (True, False, None)


def test_jobs_are_filtered(service: Service):
    waiting, paused = service.queue(), service.queue()
    service.store.request_pause(paused.id)

    def listed(**params: str) -> list[str]:
        return [job["id"] for job in service.http.get("/v1/jobs", params=params).json()["data"]]

    assert listed(status="queued") == [waiting.id]
    assert listed(status="paused", dataset="made", kind="pretrain") == [paused.id]
    assert listed(dataset="other") == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"after": "job_00"}, "cursor_invalid"),
        ({"after": "x" * 300}, "request_invalid"),
        ({"after": "a\x00"}, "request_invalid"),
        ({"limit": 0}, "request_invalid"),
        ({"limit": 10**6}, "request_invalid"),
        ({"status": "happy"}, "request_invalid"),
        ({"dataset": "a\x00"}, "request_invalid"),
    ],
)
def test_a_list_that_cannot_be_is_refused(quiet: Service, params: dict[str, Any], code: str):
    assert problem_of(quiet.http.get("/v1/jobs", params=params)) == (422, code)


@pytest.mark.parametrize("job_id", ["job_00", "nobody", "job_00%00", "..%2F..", "job_" + "a" * 99])
@pytest.mark.parametrize("action", ["", *ACTIONS, "losses", "checkpoints"])
def test_an_unknown_job_is_not_found(quiet: Service, job_id: str, action: str):
    method = "POST" if action in ACTIONS else "GET"

    answer = quiet.http.request(method, f"/v1/jobs/{job_id}/{action}".rstrip("/"))

    assert problem_of(answer)[0] == 404


def test_a_queued_job_is_paused_resumed_and_cancelled_at_once(service: Service):
    url = f"/v1/jobs/{service.queue().id}"

    statuses = [
        (answer.status_code, answer.json()["status"])
        for action in ("pause", "pause", "resume", "resume", "cancel", "cancel")
        for answer in [service.http.post(f"{url}/{action}")]
    ]

    assert statuses == [(202, s) for s in ("paused", "paused", "queued", "queued")] + [
        (202, "cancelled"),
        (202, "cancelled"),
    ]


def test_a_running_job_is_asked_to_stop(service: Service):
    claim = service.run()

    answer = service.http.post(f"/v1/jobs/{claim.job.id}/cancel")

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["requested_action"]) == ("running", "cancel")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_finished_job_cannot_be_changed(service: Service, action: str):
    claim = service.run()
    service.store.succeed(claim.lease)

    answer = service.http.post(f"/v1/jobs/{claim.job.id}/{action}")

    assert problem_of(answer) == (409, "job_state_conflict")
    assert answer.json()["job_status"] == "succeeded"


def test_losses_are_read_as_json_and_csv(service: Service):
    claim = service.run()
    service.record(claim, [1, 2, 4])
    url = f"/v1/jobs/{claim.job.id}/losses"

    points = service.http.get(url).json()["data"]
    table = service.http.get(url, params={"format": "csv", "after_step": 1})

    assert points[1] == {"step": 2, "epoch": 1, "split": "train", "total": 0.5, "mse": 0.5}
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines() == [
        "step,epoch,split,total,mse",
        "2,1,train,0.5,0.5",
        "4,1,train,0.25,0.5",
    ]


def test_losses_are_filtered_and_thinned(service: Service):
    claim = service.run()
    service.record(claim, range(1, 101))
    url = f"/v1/jobs/{claim.job.id}/losses"

    def steps(**params: Any) -> list[int]:
        return [p["step"] for p in service.http.get(url, params=params).json()["data"]]

    assert steps(after_step=98) == [99, 100]
    assert steps(split="val") == []
    assert len(steps(max_points=10)) == 10
    assert {1, 100} <= set(steps(max_points=10))


@pytest.mark.parametrize(
    "params", [{"after_step": -2}, {"max_points": 0}, {"split": "test"}, {"format": "xml"}]
)
def test_losses_that_cannot_be_are_refused(service: Service, params: dict[str, Any]):
    answer = service.http.get(f"/v1/jobs/{service.queue().id}/losses", params=params)

    assert problem_of(answer) == (422, "request_invalid")


def test_the_progress_of_a_run_is_told_over_its_steps(service: Service):
    claim = service.run()
    told = {"epoch": 1, "epochs": 2, "step": 5, "steps": 10, "fraction": 0.5, "eta_s": 20.0}
    service.store.record(claim.lease, Report(progress=told | {"windows_per_s": 8.0}))

    [stretch] = service.http.get(f"/v1/jobs/{claim.job.id}/progress").json()["data"]

    assert stretch.pop("time").endswith("Z")
    assert stretch == {
        **{"step": 5, "reports": 1, "epoch": 1, "windows_per_s": 8.0, "step_s": 4.0},
        **{"learning_rate": None, "device_memory_bytes": None, "device_utilisation": None},
    }
