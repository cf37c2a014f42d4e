"""The containers as a user drives them: compose up, prepare, POST, poll, download, embed.

Speaks to the stack over the published port only, by the routes of the public contract.
"""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from compose_stack import ComposeStack, missing_engine, running_stack

# Building the image downloads torch where no layer of an earlier build can be taken.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

DATASET = "simulated"
WINDOW_SAMPLES = 1250
FINISHED = ("succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def stack() -> Iterator[ComposeStack]:
    if reason := missing_engine():
        pytest.skip(f"needs Docker with Compose v2; {reason}")
    with running_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def http(stack: ComposeStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60.0) as client:
        yield client


@pytest.fixture(scope="module")
def job(stack: ComposeStack, http: httpx.Client) -> dict[str, Any]:
    """A pretraining job on simulated recordings, run to its end."""
    stack.execute(
        "worker",
        "ppgssl",
        "simulate",
        "--out",
        "/tmp/recordings",
        "--subjects",
        "8",
        "--minutes",
        "2",
    )
    stack.execute(
        "worker",
        "ppgssl",
        "prepare",
        "/tmp/recordings",
        "--out",
        f"/data/{DATASET}",
        "--window-seconds",
        "10",
    )
    request = {
        "kind": "pretrain",
        "dataset": DATASET,
        "preset": "small",
        "config": {"training": {"epochs": 2}},
    }
    created = http.post("/v1/jobs", json=request)
    assert created.status_code == 201, created.text
    return wait_until_finished(http, created.json()["id"])


def wait_until_finished(http: httpx.Client, job_id: str, *, seconds: float = 300) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (job := http.get(f"/v1/jobs/{job_id}").raise_for_status().json())[
        "status"
    ] not in FINISHED:
        assert time.monotonic() < deadline, f"not finished after {seconds:g} s: {job}"
        time.sleep(0.5)
    return job


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_service_runs_as_a_plain_user_without_capabilities_on_a_read_only_file_system(
    stack: ComposeStack, service: str
):
    host = stack.inspect(service)["HostConfig"]
    status = stack.execute(service, "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert facts["Uid"].split() == ["10001"] * 4
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    assert host["ReadonlyRootfs"] is True
    with pytest.raises(RuntimeError, match="Read-only file system"):
        stack.execute(service, "touch", "/opt/venv/written")


def test_the_api_is_published_on_the_loopback_address_only(stack: ComposeStack):
    ports = stack.inspect("api")["NetworkSettings"]["Ports"]

    assert ports == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}


def test_the_prepared_dataset_is_listed(http: httpx.Client, job: dict[str, Any]):
    listed = http.get("/v1/datasets").raise_for_status().json()["data"]

    assert job["dataset"] in [dataset["name"] for dataset in listed]


def test_the_job_succeeds_and_its_losses_can_be_read(http: httpx.Client, job: dict[str, Any]):
    losses = http.get(f"/v1/jobs/{job['id']}/losses").raise_for_status().json()["data"]

    assert job["status"] == "succeeded", job["error"]
    assert job["progress"]["epoch"] == 2
    assert {point["split"] for point in losses} == {"train", "val"}
    assert all(np.isfinite(point["total"]) for point in losses)


def test_the_downloaded_encoder_has_the_size_and_sha256_that_were_listed(
    http: httpx.Client, job: dict[str, Any]
):
    checkpoints = http.get(f"/v1/jobs/{job['id']}/checkpoints").raise_for_status().json()["data"]
    best = next(checkpoint for checkpoint in checkpoints if checkpoint["name"] == "best")
    listed = next(file for file in best["files"] if file["name"] == "encoder.safetensors")

    content = http.get(f"/v1/jobs/{job['id']}/checkpoints/best/encoder.safetensors").content

    assert len(content) == listed["size"]
    assert hashlib.sha256(content).hexdigest() == listed["sha256"]


def test_windows_are_embedded_as_raw_float32(http: httpx.Client, job: dict[str, Any]):
    time_s = np.arange(WINDOW_SAMPLES) / 125
    windows = np.stack([np.sin(2 * np.pi * rate_hz * time_s) for rate_hz in (1.0, 1.5)])

    answer = http.post(
        "/v1/embeddings",
        params={"model": job["id"], "fs_hz": 125, "windows": 2},
        content=windows.astype("<f4").tobytes(),
        headers={"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"},
    )

    assert answer.status_code == 200, answer.text
    embeddings = np.frombuffer(answer.content, dtype="<f4").reshape(2, 512)
    assert np.isfinite(embeddings).all()
    assert not np.allclose(embeddings[0], embeddings[1])


def test_the_job_is_found_again_after_the_api_restarts(
    stack: ComposeStack, http: httpx.Client, job: dict[str, Any]
):
    stack.compose("restart", "api")
    stack.compose("up", "--detach", "--wait", "--wait-timeout", "60")

    assert http.get(f"/v1/jobs/{job['id']}").raise_for_status().json() == job
