"""Clones: what stays, what is merged, what is checked, and that a repeated request makes one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_service import Service, make_dataset
from typer.testing import CliRunner

from ppgssl.cli.jobs import app
from ppgssl.client import Client


@pytest.fixture
def made(service: Service) -> Service:
    """A service with one dataset of windows of 10 s, and one of 20 s with a label."""
    make_dataset(service.settings.data_root / "made")
    make_dataset(service.settings.data_root / "longer", samples=2500, labels={"hr_bpm": 60.0})
    return service


def submit(service: Service, **body: Any) -> dict[str, Any]:
    asked = {"dataset": "made", "preset": "small"} | body
    return service.http.post("/v1/jobs", json=asked).json()


def clone(
    service: Service, job_id: str, body: Mapping[str, Any] | None = None, key: str | None = None
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return service.http.post(f"/v1/jobs/{job_id}/clone", json=body, headers=headers)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_clone_is_the_same_job_once_more(made: Service):
    job = submit(made, name="first", metadata={"ward": 7}, priority=2, max_runtime_s=60)

    answer = clone(made, job["id"])

    copy = answer.json()
    same = ("kind", "dataset", "name", "metadata", "priority", "max_runtime_s", "config", "status")
    assert answer.status_code == 201
    assert copy["id"] != job["id"]
    assert copy["cloned_from"] == job["id"]
    assert job["cloned_from"] is None
    assert {name: copy[name] for name in same} == {name: job[name] for name in same}


def test_the_config_is_merged_key_by_key_and_the_rest_is_replaced(made: Service):
    job = submit(made, name="first", priority=2, config={"seed": 5, "training": {"epochs": 3}})

    changes = {"config": {"training": {"batch_size": 2}}, "name": None, "priority": -1}
    copy = clone(made, job["id"], changes).json()

    training = job["config"]["training"] | {"batch_size": 2}
    assert copy["config"] == job["config"] | {"training": training}
    assert (copy["name"], copy["priority"]) == (None, -1)


def test_a_clone_on_other_windows_follows_its_dataset(made: Service):
    job = submit(made)

    copy = clone(made, job["id"], {"dataset": "longer"}).json()

    assert job["config"]["data"]["window_seconds"] == 10
    assert copy["config"]["data"]["window_seconds"] == 20


def test_a_clone_of_a_clone_has_the_changes_of_both(made: Service):
    first = submit(made)
    second = clone(made, first["id"], {"config": {"seed": 5}}).json()

    third = clone(made, second["id"], {"config": {"training": {"epochs": 3}}}).json()

    assert (third["config"]["seed"], third["config"]["training"]["epochs"]) == (5, 3)
    assert third["cloned_from"] == second["id"]


def test_a_job_of_an_older_version_is_cloned_from_its_whole_config(made: Service):
    job = made.queue("old")

    copy = clone(made, job.id, {"config": {"seed": 5}}).json()

    assert copy["config"] == job.config | {"seed": 5}
    assert copy["name"] == "old"


def test_an_evaluation_of_an_older_version_is_cloned_from_what_was_asked_of_it(made: Service):
    encoder = {"job_id": None, "checkpoint": None, "sha256": "ab" * 32}
    old = made.evaluate(model="default", encoder=encoder, encoders_beside={}, seed=3).job

    copy = clone(made, old.id, {"dataset": "longer"}).json()

    assert (copy["kind"], copy["config"]["model"], copy["config"]["seed"]) == (
        "evaluate",
        "default",
        3,
    )
    assert copy["config"]["encoder"]["sha256"] != encoder["sha256"]


def test_an_evaluation_is_cloned_with_what_its_model_means_now(made: Service, best_folder: Path):
    trained = made.trained(best_folder)
    made.store.set_alias("production", trained.id)
    asked = {"kind": "evaluate", "dataset": "longer", "config": {"model": "default"}}
    job = made.http.post("/v1/jobs", json=asked).json()

    copy = clone(made, job["id"], {"config": {"model": "production"}}).json()

    assert job["config"]["encoder"]["job_id"] is None
    assert copy["config"]["encoder"]["job_id"] == trained.id
    assert copy["config"]["labels"] == job["config"]["labels"]


def test_a_repeated_clone_makes_one_job(made: Service):
    job, other = submit(made), submit(made)

    first, again = (clone(made, job["id"], {"name": "x"}, key="k") for _ in range(2))
    different = clone(made, job["id"], {"name": "y"}, key="k")
    of_another = clone(made, other["id"], {"name": "x"}, key="k")

    assert first.json()["id"] == again.json()["id"]
    assert problem_of(different) == (409, "idempotency_key_reused")
    assert problem_of(of_another) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"config": {"training": {"epoch": 3}}}, "config_invalid"),
        ({"config": {"data": {"window_seconds": 7}}}, "config_invalid"),
        ({"dataset": "absent"}, "dataset_invalid"),
        ({"dataset": None}, "request_invalid"),
        ({"max_attempts": 0}, "request_invalid"),
        ({"priority": 1001}, "request_invalid"),
        ({"kind": "evaluate"}, "request_invalid"),
    ],
)
def test_what_a_submission_would_be_refused_for_a_clone_is(
    made: Service, changes: dict[str, Any], code: str
):
    job = submit(made)

    answer = clone(made, job["id"], changes)

    assert problem_of(answer) == (422, code)
    assert len(made.store.jobs().items) == 1


def test_a_refused_change_is_named(made: Service):
    job = submit(made)

    answer = clone(made, job["id"], {"max_attempts": 0})

    assert [item["path"] for item in answer.json()["errors"]] == ["body.max_attempts"]


def test_nothing_is_cloned_from_a_job_that_is_not_there(made: Service):
    assert problem_of(clone(made, "job_0", {})) == (404, "job_not_found")


def test_the_client_clones(made: Service):
    job = submit(made)

    with Client(made.url) as client:
        copy = client.clone(job["id"], {"config": {"seed": 9}, "name": "second"})

    assert (copy.cloned_from, copy.name, copy.config["seed"]) == (job["id"], "second", 9)


def test_the_command_clones_with_overrides(made: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PPGSSL_URL", made.url)
    job = submit(made)

    arguments = ["clone", job["id"], "--set", "training.epochs=2", "--name", "second"]
    shown = CliRunner().invoke(app, arguments)
    copy = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)

    assert shown.exit_code == 0, shown.output
    assert f"clone of  {job['id']}" in shown.stdout
    assert (copy["config"]["training"]["epochs"], copy["name"]) == (2, "second")
