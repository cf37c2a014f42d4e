"""Deleted jobs over HTTP, by the client and from a shell."""

import json
from pathlib import Path

import httpx
import pytest
from live_service import REPORT, Service
from typer.testing import CliRunner

from api.access import needed_role
from ppgssl.cli.jobs import app
from ppgssl.client import Client, RefusedError
from ppgssl.jobs.roles import Role


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_deleted_job_is_found_nowhere_any_more(service: Service, best_folder: Path):
    job = service.trained(best_folder)
    folder = service.settings.job_folder(job.id)
    assert folder.is_dir()

    answer = service.http.delete(f"/v1/jobs/{job.id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert not folder.exists()
    assert service.http.get("/v1/jobs").json()["data"] == []
    assert [model["id"] for model in service.http.get("/v1/models").json()["data"]] == ["default"]
    for part in ("", "/losses", "/logs", "/checkpoints", "/checkpoints/best/encoder.json"):
        assert problem_of(service.http.get(f"/v1/jobs/{job.id}{part}")) == (404, "job_not_found")
    embedded = {"model": job.id, "input": [[1.0] * 1250], "fs_hz": 125}
    refused = service.http.post("/v1/embeddings", json=embedded)
    assert problem_of(refused) == (404, "model_not_found")


def test_a_second_time_it_is_not_found(service: Service, best_folder: Path):
    job = service.trained(best_folder)
    service.http.delete(f"/v1/jobs/{job.id}")

    again = service.http.delete(f"/v1/jobs/{job.id}")

    assert problem_of(again) == (404, "job_not_found")


def test_a_report_goes_with_its_job(service: Service):
    job = service.evaluated(REPORT)

    service.http.delete(f"/v1/jobs/{job.id}")

    assert not service.settings.job_folder(job.id).exists()


def test_embeddings_go_with_their_job(service: Service):
    job = service.embedded()

    service.http.delete(f"/v1/jobs/{job.id}")

    assert not service.settings.job_folder(job.id).exists()


def test_an_unfinished_job_is_not_deleted_and_its_status_is_told(service: Service):
    job = service.run().job

    answer = service.http.delete(f"/v1/jobs/{job.id}")

    assert problem_of(answer) == (409, "job_state_conflict")
    assert answer.json()["job_status"] == "running"


def test_a_job_that_an_alias_points_at_is_not_deleted(service: Service, best_folder: Path):
    job = service.trained(best_folder)
    service.store.set_alias("production", job.id)

    answer = service.http.delete(f"/v1/jobs/{job.id}")

    assert problem_of(answer) == (409, "job_in_use")
    assert "production" in answer.json()["detail"]
    assert service.settings.job_folder(job.id).is_dir()


def test_only_an_administrator_deletes():
    assert needed_role("DELETE", "/v1/jobs/job_1") is Role.ADMIN
    assert needed_role("POST", "/v1/jobs/job_1/clone") is Role.SUBMIT


def test_deleting_follows_no_link_out_of_the_artifact_root(service: Service, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "recording").write_text("ours")
    job = service.evaluated()
    folder = service.settings.job_folder(job.id)
    (folder / "attempts" / "link").symlink_to(outside)

    answer = service.http.delete(f"/v1/jobs/{job.id}")

    assert answer.status_code == 204
    assert not folder.exists()
    assert (outside / "recording").read_text() == "ours"


def test_a_client_deletes(service: Service, best_folder: Path):
    job = service.trained(best_folder)

    with Client(service.url) as client:
        client.delete(job.id)
        with pytest.raises(RefusedError) as refusal:
            client.delete(job.id)

    assert refusal.value.code == "job_not_found"


def test_the_command_deletes(service: Service, best_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PPGSSL_URL", service.url)
    first, second = (service.trained(best_folder).id for _ in range(2))

    told = CliRunner().invoke(app, ["delete", first])
    as_json = CliRunner().invoke(app, ["delete", second, "--json"])
    again = CliRunner().invoke(app, ["delete", first])

    assert told.stdout == f"deleted {first}\n"
    assert json.loads(as_json.stdout) == {"id": second, "deleted": True}
    assert again.exit_code == 2
    assert "job_not_found" in again.stderr
