"""Evaluations over HTTP: what is asked for, what it is pinned to, and every way to be refused."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_service import Service, make_dataset

from ppgssl.jobs.records import Report


@pytest.fixture
def labelled(service: Service) -> Service:
    """A service with a labelled dataset, and one without labels."""
    make_dataset(service.settings.data_root / "made", labels={"hr_bpm": 60.0, "age": 40.0})
    make_dataset(service.settings.data_root / "bare")
    return service


def submit(
    service: Service, config: dict[str, Any], headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    asked = {"kind": "evaluate", "dataset": "made", "config": config} | body
    return service.http.post("/v1/jobs", json=asked, headers=headers)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def weights_sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "encoder.safetensors").read_bytes()).hexdigest()


def test_an_evaluation_is_queued_with_the_weights_that_its_model_means(
    labelled: Service, best_folder: Path
):
    trained = labelled.trained(best_folder)
    labelled.store.set_alias("production", trained.id)

    answer = submit(labelled, {"model": "production", "labels": ["hr_bpm"]}, name="proof")

    job = answer.json()
    assert answer.status_code == 201
    assert (job["kind"], job["status"], job["name"]) == ("evaluate", "queued", "proof")
    assert (job["config"]["model"], job["config"]["labels"]) == ("production", ["hr_bpm"])
    assert job["config"]["encoder"] == {
        "job_id": trained.id,
        "checkpoint": "best",
        "sha256": weights_sha256(best_folder),
    }
    assert not {"window_seconds", "hop_seconds"} & job["config"].keys()


def test_the_encoder_is_kept_though_the_run_replaces_its_checkpoint(
    labelled: Service, best_folder: Path
):
    claim = labelled.run()
    written = labelled.save(claim, "best", best_folder)

    job = submit(labelled, {"model": claim.job.id}).json()
    for file in written.iterdir():
        file.unlink()

    kept = labelled.settings.kept_encoders / job["config"]["encoder"]["sha256"]
    assert weights_sha256(kept) == weights_sha256(best_folder)
    assert {path.name for path in kept.iterdir()} == {"encoder.safetensors", "encoder.json"}
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_repeated_request_makes_one_job_though_its_alias_moved_meanwhile(
    labelled: Service, best_folder: Path
):
    first, second = labelled.trained(best_folder), labelled.run()
    labelled.store.set_alias("production", first.id)
    key = {"Idempotency-Key": "monday"}

    before = submit(labelled, {"model": "production"}, key).json()
    labelled.save(second, "best", best_folder)
    labelled.store.set_alias("production", second.job.id)
    after = submit(labelled, {"model": "production"}, key)
    other = submit(labelled, {"model": "production", "seed": 1}, key)

    assert after.json() == before
    assert problem_of(other) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("config", "status", "code", "message"),
    [
        ({"model": "nobody"}, 404, "model_not_found", "no model is called 'nobody'"),
        ({"model": "../made"}, 404, "model_not_found", "no model is called '../made'"),
        ({"labels": ["spo2"]}, 422, "dataset_invalid", "no label 'spo2'; it has hr_bpm, age, sqi"),
        ({"lables": []}, 422, "request_invalid", "no setting is called 'lables'; there are"),
        ({"window_seconds": 10}, 422, "request_invalid", "are cut already"),
        ({"hop_seconds": 5}, 422, "request_invalid", "are cut already"),
        ({"seed": "x"}, 422, "request_invalid", "body.config.seed"),
    ],
)
def test_a_wrong_evaluation_is_refused_when_it_is_submitted(
    labelled: Service, config: dict[str, Any], status: int, code: str, message: str
):
    answer = submit(labelled, config)

    assert problem_of(answer) == (status, code)
    assert message in answer.json()["detail"]
    assert labelled.http.get("/v1/jobs").json()["data"] == []


def test_a_dataset_without_labels_is_refused(labelled: Service):
    answer = submit(labelled, {}, dataset="bare")

    assert problem_of(answer) == (422, "dataset_invalid")
    assert "'bare' has no labels" in answer.json()["detail"]


def test_a_preset_is_refused(labelled: Service):
    answer = submit(labelled, {}, preset="small")

    assert problem_of(answer) == (422, "request_invalid")
    assert "body.preset: presets are training configs" in answer.json()["detail"]


def test_a_job_without_an_encoder_yet_is_refused(labelled: Service):
    answer = submit(labelled, {"model": labelled.queue().id})

    assert problem_of(answer) == (404, "checkpoint_not_found")


def test_a_damaged_encoder_is_refused(labelled: Service, best_folder: Path):
    claim = labelled.run()
    (labelled.save(claim, "best", best_folder) / "encoder.safetensors").write_bytes(b"broken")

    answer = submit(labelled, {"model": claim.job.id})

    assert problem_of(answer) == (422, "checkpoint_invalid")
    assert list(labelled.settings.kept_encoders.iterdir()) == []


def test_the_model_default_is_found_as_for_embeddings(
    labelled: Service, best_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ppgssl.inference.encoder_path.DEFAULT_ENCODER_FOLDER", best_folder)
    window = {"input": [[0.0, 1.0] * 625]}

    shipped = submit(labelled, {}).json()["config"]["encoder"]

    assert shipped["sha256"] == embed(labelled, window).json()["encoder_sha256"]
    assert shipped["job_id"] is shipped["checkpoint"] is None


def embed(service: Service, body: dict[str, Any]) -> httpx.Response:
    return service.http.post("/v1/embeddings", json=body)


def test_the_progress_of_an_evaluation_names_its_stage(labelled: Service):
    claim = labelled.evaluate(model="default")
    told = {"step": 2, "steps": 8, "fraction": 0.25, "stage": "hr_bpm"}
    absent = dict.fromkeys(
        (
            *("epoch", "epochs", "eta_s", "windows_per_s", "learning_rate"),
            *("device_memory_bytes", "device_utilisation"),
        )
    )
    labelled.store.record(claim.lease, Report(progress=absent | told))

    progress = labelled.http.get(f"/v1/jobs/{claim.job.id}").json()["progress"]

    assert progress == absent | told


def test_datasets_name_their_labels(labelled: Service):
    listed = labelled.http.get("/v1/datasets").json()["data"]

    assert {found["name"]: found["labels"] for found in listed} == {
        "bare": [],
        "made": ["hr_bpm", "age"],
    }


def test_the_config_of_each_kind_is_documented(service: Service):
    schemas = service.http.get("/openapi.json").json()["components"]["schemas"]

    kinds = schemas["JobCreate"]["discriminator"]["mapping"]
    evaluation = schemas[kinds["evaluate"].rpartition("/")[2]]
    config = schemas[evaluation["properties"]["config"]["$ref"].rpartition("/")[2]]
    assert kinds.keys() == {"pretrain", "evaluate", "embed"}
    assert {"model", "labels", "seed"} <= config["properties"].keys()
