"""Bulk embedding over HTTP: what is asked for, every way to be refused, and what is downloaded."""

import base64
import hashlib
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from live_service import EMBEDDINGS, Service, make_dataset, serving, settings_in, summary_of
from typer.testing import CliRunner
from worker_bench import Bench

from ppgssl.cli.main import app
from ppgssl.client import Client
from ppgssl.data.recordings import find_recordings
from ppgssl.data.simulated import write_simulated
from ppgssl.inference.bulk_sources import recording_units

URL = "/v1/jobs/{}/embeddings"


def make_recordings(folder: Path) -> None:
    """Two recordings of half a minute."""
    write_simulated(folder, subjects=2, minutes=0.5, fs_hz=64, seed=0, on_subject=lambda _: None)


@pytest.fixture
def ready(service: Service, best_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service with a dataset, a folder of recordings, one of notes, and an encoder `default`."""
    monkeypatch.setattr("ppgssl.inference.encoder_path.DEFAULT_ENCODER_FOLDER", best_folder)
    root = service.settings.data_root
    make_dataset(root / "made")
    make_recordings(root / "clinic" / "ward")
    (root / "notes").mkdir()
    (root / "notes" / "a.txt").write_text("nothing to see")
    return service


def submit(service: Service, config: dict[str, Any], **body: Any) -> httpx.Response:
    asked = {"kind": "embed", "dataset": "clinic", "config": config} | body
    return service.http.post("/v1/jobs", json=asked)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# ------------------------------------------------------------------------------------- submission


def test_a_job_is_queued_with_the_weights_that_its_model_means(ready: Service, best_folder: Path):
    trained = ready.trained(best_folder)
    ready.store.set_alias("production", trained.id)

    job = submit(ready, {"model": "production", "granularity": "segment", "fs_hz": 64}).json()

    sha256 = hashlib.sha256((best_folder / "encoder.safetensors").read_bytes()).hexdigest()
    assert (job["kind"], job["status"], job["dataset"]) == ("embed", "queued", "clinic")
    assert job["config"] == {
        "model": "production",
        "granularity": "segment",
        "window_seconds": None,
        "fs_hz": 64.0,
        "channel": None,
        "encoder": {"job_id": trained.id, "checkpoint": "best", "sha256": sha256},
    }
    assert (ready.settings.kept_encoders / sha256 / "encoder.safetensors").is_file()


@pytest.mark.parametrize("dataset", ["made", "clinic", "clinic/ward"])
def test_datasets_and_folders_of_recordings_are_taken(ready: Service, dataset: str):
    answer = submit(ready, {}, dataset=dataset)

    assert (answer.status_code, answer.json()["dataset"]) == (201, dataset)
    assert answer.json()["config"]["model"] == "default"


@pytest.mark.parametrize(
    ("dataset", "config", "status", "code", "message"),
    [
        ("clinic", {"model": "nobody"}, 404, "model_not_found", "no model is called 'nobody'"),
        ("absent", {}, 422, "dataset_invalid", "'absent' does not exist"),
        ("../data", {}, 422, "dataset_invalid", "is not a name below the data root"),
        ("notes", {}, 422, "recording_invalid", "no recordings in notes; "),
        ("linked", {}, 422, "dataset_invalid", "is not a name below the data root"),
        (
            "made",
            {"window_seconds": 10},
            422,
            "dataset_invalid",
            "window_seconds is for recordings",
        ),
        ("made", {"channel": "PPG"}, 422, "dataset_invalid", "channel is for recordings"),
        ("clinic", {"granularty": 1}, 422, "request_invalid", "no setting is called 'granularty'"),
        ("clinic", {"granularity": "beat"}, 422, "request_invalid", "body.config.granularity"),
        ("clinic", {"window_seconds": 1}, 422, "request_invalid", "body.config.window_seconds"),
        ("clinic", {"fs_hz": 0}, 422, "request_invalid", "body.config.fs_hz"),
        ("clinic", {"channel": "ECG\0"}, 422, "request_invalid", "body.config.channel"),
    ],
)
def test_a_wrong_job_is_refused_when_it_is_submitted(
    ready: Service, dataset: str, config: dict[str, Any], status: int, code: str, message: str
):
    root = ready.settings.data_root
    make_recordings(root.parent / "outside")
    (root / "linked").symlink_to(root.parent / "outside")

    answer = submit(ready, config, dataset=dataset)

    assert problem_of(answer) == (status, code)
    assert message in answer.json()["detail"]
    assert ready.http.get("/v1/jobs").json()["data"] == []


def test_a_preset_is_refused(ready: Service):
    answer = submit(ready, {}, preset="small")

    assert problem_of(answer) == (422, "request_invalid")


def test_a_clone_means_the_model_as_it_is_now(ready: Service, best_folder: Path):
    job = submit(ready, {}).json()
    trained = ready.trained(best_folder)
    changes = {"config": {"model": trained.id}, "dataset": "made"}

    copy = ready.http.post(f"/v1/jobs/{job['id']}/clone", json=changes).json()

    assert (copy["kind"], copy["dataset"]) == ("embed", "made")
    assert copy["config"]["encoder"]["job_id"] == trained.id


# ---------------------------------------------------------------------------------------- results


def test_what_was_embedded_is_summarised(service: Service):
    job = service.embedded(refused=2, unreadable={"r7": "truncated"})

    told = service.http.get(URL.format(job.id)).json()

    assert told == summary_of(EMBEDDINGS) | {"refused": 2, "unreadable": {"r7": "truncated"}}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/embeddings.parquet", {}),
        ("?format=parquet", {}),
        ("", {"Accept": "application/vnd.apache.parquet"}),
    ],
)
def test_the_file_is_downloaded_with_its_sha256(
    service: Service, path: str, headers: dict[str, str]
):
    url = URL.format(service.embedded().id) + path

    answer = service.http.get(url, headers=headers)
    again = service.http.get(url, headers=headers | {"If-None-Match": answer.headers["etag"]})
    part = service.http.get(url, headers=headers | {"Range": "bytes=5-14"})
    head = service.http.head(url, headers=headers)

    sha256 = hashlib.sha256(EMBEDDINGS)
    assert answer.content == EMBEDDINGS
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-disposition"] == 'attachment; filename="embeddings.parquet"'
    assert answer.headers["etag"] == f'"{sha256.hexdigest()}"'
    assert answer.headers["digest"] == f"sha-256={base64.b64encode(sha256.digest()).decode()}"
    assert again.status_code == 304
    assert (part.status_code, part.content) == (206, b"embeddings")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(EMBEDDINGS)))


def test_another_type_or_file_is_refused(service: Service):
    url = URL.format(service.embedded().id)

    assert problem_of(service.http.get(url, headers={"Accept": "text/csv"})) == (
        406,
        "not_acceptable",
    )
    assert problem_of(service.http.get(f"{url}/summary.json")) == (404, "file_not_found")


@pytest.mark.parametrize("path", ["", "/embeddings.parquet"])
def test_where_there_are_no_embeddings_it_is_said_why(service: Service, path: str):
    training, running, lost = service.queue(), service.embed().job, service.embedded()
    for file in service.settings.job_folder(lost.id).rglob("*.parquet"):
        file.unlink()

    answers = [service.http.get(URL.format(j.id) + path) for j in (training, running, lost)]

    assert [problem_of(answer) for answer in answers] == [
        (404, "embeddings_not_found"),
        (409, "job_state_conflict"),
        (410, "file_gone"),
    ]
    assert "'pretrain'" in answers[0].json()["detail"]
    assert "wait until it has succeeded" in answers[1].json()["detail"]


def test_a_link_in_place_of_the_file_is_not_followed(service: Service, tmp_path: Path):
    job = service.embedded()
    (tmp_path / "secret").write_text("of nobody's business")
    [file] = service.settings.job_folder(job.id).rglob("*.parquet")
    file.unlink()
    file.symlink_to(tmp_path / "secret")

    answer = service.http.get(URL.format(job.id) + "/embeddings.parquet")

    assert problem_of(answer) == (410, "file_gone")


# ------------------------------------------------------------------------------------ end to end


def vectors(file: Path) -> np.ndarray:
    return np.stack(pq.read_table(file)["embedding"].to_numpy())


def test_job_shell_and_endpoint_give_the_same_embeddings(tmp_path: Path, best_folder: Path):
    settings = settings_in(
        tmp_path, poll_seconds=0.05, min_free_bytes=0, liveness_file=tmp_path / "worker.alive"
    )
    make_recordings(settings.data_root / "clinic")
    windows = [
        window
        for unit in recording_units(find_recordings([settings.data_root / "clinic"]).refs, 10.0)
        for window in unit.load()
    ]
    by_shell = tmp_path / "by_shell.parquet"

    with serving(settings) as service, Client(service.url) as client:
        trained = service.trained(best_folder)
        job = client.submit_embedding("clinic", model=trained.id)
        bench = Bench(service.store, settings)
        bench.start_worker([sys.executable, "-m", "worker"])
        bench.wait_for_status(job.id, "succeeded")
        bench.stop_workers()
        (by_job,) = client.download_embeddings(job.id, tmp_path / "by_job")
        by_endpoint = client.embed([w.samples for w in windows], fs_hz=64, model=trained.id)
    CliRunner().invoke(
        app,
        [
            *("embed", str(settings.data_root / "clinic"), "--encoder", str(best_folder)),
            *("--out", str(by_shell), "--device", "cpu"),
        ],
    )

    rows = pq.read_table(by_job)
    assert rows.drop_columns("embedding").equals(pq.read_table(by_shell).drop_columns("embedding"))
    assert rows["recording_id"].to_pylist() == [window.recording_id for window in windows]
    assert rows["start_s"].to_pylist() == [window.start_s for window in windows]
    np.testing.assert_allclose(vectors(by_job), vectors(by_shell), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(vectors(by_job), by_endpoint.embedding, rtol=1e-4, atol=1e-5)
