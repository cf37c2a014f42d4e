"""Who may ask, how much, and whether the service is well: the key, the origin, the body's size."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_service import Service, serving, settings_in

from api.main import check_access
from ppgssl.errors import ConfigError
from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.keys import ApiKeys
from ppgssl.jobs.roles import Role
from ppgssl.jobs.settings import Settings

MAX_BYTES = 1_000_000  # of `settings_in`


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# ------------------------------------------------------------------------------------ size of body


def post_body(service: Service, content: Any, **headers: str) -> httpx.Response:
    headers = {"Content-Type": "application/octet-stream"} | headers
    return service.http.post("/v1/embeddings?model=nobody", content=content, headers=headers)


def test_a_body_that_says_it_is_too_large_is_refused(service: Service):
    answer = post_body(service, bytes(MAX_BYTES + 1))

    assert problem_of(answer) == (413, "body_too_large")
    assert f"{MAX_BYTES} bytes" in answer.json()["detail"]
    assert answer.json()["limit_bytes"] == MAX_BYTES


def test_a_body_that_does_not_say_its_size_is_refused_while_it_is_read(service: Service):
    chunks = (bytes(100_000) for _ in range(20))

    answer = post_body(service, chunks)

    assert "content-length" not in answer.request.headers
    assert problem_of(answer) == (413, "body_too_large")
    assert answer.json()["limit_bytes"] == MAX_BYTES


def test_a_body_that_never_ends_is_not_read_to_its_end(service: Service):
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000000\r\n\r\n"
        )
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_of_the_largest_size_is_read(service: Service):
    answer = post_body(service, bytes(MAX_BYTES))

    assert problem_of(answer) == (404, "model_not_found")


# ------------------------------------------------------------------------------------- key, origin


@pytest.fixture(scope="module")
def guarded() -> Iterator[Service]:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(settings_in(Path(folder), api_key="tell-nobody")) as service,
    ):
        yield service


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer tell-nobody"},
        {"Authorization": "bearer tell-nobody"},
        {"X-API-Key": "tell-nobody"},
    ],
)
def test_the_key_opens_the_service(guarded: Service, headers: dict[str, str]):
    assert guarded.http.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic tell-nobody"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "tell-nobody "[:-2]},
        {"X-API-Key": "\xe9"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/job_00/events", "/v1/nothing", "/v1"])
def test_nothing_else_opens_it(guarded: Service, headers: dict[str, str], path: str):
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}

    answer = guarded.http.get(path, headers=encoded)

    assert problem_of(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_body_without_the_key_is_not_read(guarded: Service):
    assert problem_of(post_body(guarded, bytes(MAX_BYTES + 1))) == (401, "unauthorized")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/", "/openapi.json"])
def test_health_and_dashboard_need_no_key(guarded: Service, path: str):
    assert guarded.http.get(path).status_code == 200


def test_another_websites_page_changes_nothing(service: Service):
    job = service.queue()

    answer = service.http.post(
        f"/v1/jobs/{job.id}/cancel", headers={"Origin": "https://evil.example"}
    )
    own = service.http.post(f"/v1/jobs/{job.id}/pause", headers={"Origin": service.url})

    assert problem_of(answer) == (403, "cross_origin")
    assert own.json()["status"] == "paused"


# ------------------------------------------------------------------------------------------ health


def test_readiness_runs_an_embedding_with_the_encoder_that_is_always_there(service: Service):
    answer = service.http.get("/readyz").json()

    assert answer["status"] == "ready"
    assert answer["checks"]["embedding"]["model"] == "default"


def test_a_service_whose_own_encoder_is_damaged_is_not_ready(
    service: Service, best_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    damaged = shutil.copytree(best_folder, tmp_path / "damaged")
    (damaged / "encoder.json").write_text("{}")
    monkeypatch.setattr("ppgssl.inference.encoder_path.DEFAULT_ENCODER_FOLDER", damaged)

    answer = service.http.get("/readyz")

    assert problem_of(answer) == (503, "not_ready")
    assert answer.json()["checks"]["database"] == {"ok": True}
    assert answer.json()["checks"]["embedding"]["ok"] is False
    assert service.http.get("/healthz").json() == {"status": "ok"}


def test_a_service_without_its_tables_says_that_it_is_away_for_now(service: Service):
    with sqlite3.connect(service.settings.artifact_root / "ppgssl.sqlite") as database:
        database.execute("ALTER TABLE jobs RENAME TO gone")
    database.close()

    ready, jobs = service.http.get("/readyz"), service.http.get("/v1/jobs")

    assert problem_of(ready) == (503, "not_ready")
    assert problem_of(jobs) == (503, "database_unavailable")
    assert "retry-after" in jobs.headers


def test_metrics_count_requests_by_route_and_jobs_by_status(service: Service):
    service.http.get(f"/v1/jobs/{service.queue().id}")
    service.http.get("/nothing/here")

    lines = service.http.get("/metrics").text.splitlines()

    counted = 'ppgssl_http_requests_total{method="GET",route="read_job",status="200"} 1.0'
    assert counted in lines
    assert 'ppgssl_http_requests_total{method="GET",route="none",status="404"} 1.0' in lines
    assert 'ppgssl_jobs{kind="pretrain",status="queued"} 1.0' in lines


def test_every_route_of_the_contract_is_documented(service: Service):
    paths = service.http.get("/openapi.json").json()["paths"]

    assert {
        *("/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/cancel", "/v1/jobs/{job_id}/pause"),
        *("/v1/jobs/{job_id}/resume", "/v1/jobs/{job_id}/losses", "/v1/jobs/{job_id}/events"),
        *("/v1/jobs/{job_id}/logs", "/v1/jobs/{job_id}/checkpoints"),
        "/v1/jobs/{job_id}/checkpoints/{checkpoint}/{file}",
        *("/v1/embeddings", "/v1/models", "/v1/models/{alias}", "/v1/datasets"),
        *("/healthz", "/readyz", "/metrics"),
    } <= set(paths)
    assert service.http.get("/docs").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/nothing", (404, "route_not_found")),
        ("DELETE", "/v1/jobs", (405, "method_not_allowed")),
        ("GET", "/v1/embeddings", (405, "method_not_allowed")),
        ("POST", "/", (405, "method_not_allowed")),
    ],
)
def test_routes_that_do_not_exist_are_problems_too(
    service: Service, method: str, path: str, expected: tuple[int, str]
):
    assert problem_of(service.http.request(method, path)) == expected


# ------------------------------------------------------------------------------------- the process


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_key(host: str):
    check_access(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "gateway.example"])
def test_other_addresses_need_a_key_or_a_permission(tmp_path: Path, host: str):
    with pytest.raises(ConfigError, match=r"PPGSSL_HOST: .*make one with `ppgssl keys create`"):
        check_access(settings_in(tmp_path, host=host))

    check_access(settings_in(tmp_path, host=host, api_key="tell-nobody"))
    check_access(settings_in(tmp_path, host=host, allow_open_access=True))


def test_a_key_in_the_table_lets_others_in_until_it_is_revoked(tmp_path: Path):
    settings = settings_in(tmp_path, host="0.0.0.0")
    engine = open_database(settings.database)
    migrate(engine)
    key_id = ApiKeys(engine).create("mine", Role.READ).row.id

    check_access(settings)
    ApiKeys(engine).revoke(key_id)

    with pytest.raises(ConfigError, match="it has no key"):
        check_access(settings)
    engine.dispose()


def test_a_container_is_as_open_as_the_address_its_port_is_published_at(tmp_path: Path):
    check_access(settings_in(tmp_path, host="0.0.0.0", published_address="127.0.0.1"))

    with pytest.raises(ConfigError, match=r"PUBLISHED_ADDRESS: '0\.0\.0\.0' lets"):
        check_access(settings_in(tmp_path, host="127.0.0.1", published_address="0.0.0.0"))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PPGSSL_HOST": "0.0.0.0"}, "error: PPGSSL_HOST: '0.0.0.0' lets others reach"),
        (
            {"PPGSSL_HOST": "127.0.0.1", "PPGSSL_PUBLISHED_ADDRESS": "0.0.0.0"},
            "error: PPGSSL_PUBLISHED_ADDRESS: '0.0.0.0' lets others reach",
        ),
        ({"PPGSSL_PORT": "many"}, "error: PPGSSL_PORT"),
    ],
)
def test_the_process_refuses_wrong_settings_in_one_line(
    variables: dict[str, str], message: str, tmp_path: Path
):
    environment = {**os.environ, **variables, "PPGSSL_ARTIFACT_ROOT": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-m", "api"], env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith(message)
    assert len(ended.stderr.splitlines()) == 1
