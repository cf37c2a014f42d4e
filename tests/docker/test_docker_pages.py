"""What the pages say of Docker: their blocks are run in a copy of the repository, in order."""

import re
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from compose_stack import ROOT, ComposeStack, missing_engine, own_stack

sys.path.insert(0, str(ROOT / "tests" / "docs"))
from page_runner import NOT_RUN, PageRunner, blocks
from pages import PAGES

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]
CLONED = (
    "pyproject.toml",
    "constraints.txt",
    "README.md",
    "LICENSE",
    "Dockerfile",
    ".dockerignore",
)
LONG = {"epochs": 1000, "early_stopping_patience": 1000}
CLONED_FOLDERS = ("configs", "ppgssl", "api", "worker", "deploy")


@pytest.fixture(scope="module")
def stack() -> Iterator[ComposeStack]:
    if reason := missing_engine():
        pytest.skip(f"needs Docker with Compose v2; {reason}")
    with own_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def reader(stack: ComposeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageRunner]:
    """Somebody in a clone, with recordings of theirs in a folder elsewhere."""
    clone = tmp_path_factory.mktemp("reader") / "clone"
    clone.mkdir()
    for name in [*CLONED, *stack.environment["COMPOSE_FILE"].split(":")]:
        shutil.copy(ROOT / name, clone)
    for name in CLONED_FOLDERS:
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    reader = PageRunner(
        clone,
        port=stack.port,
        not_run=tuple(command for command in NOT_RUN if command != "docker "),
        instead={
            "/path/to/recordings": f"{clone.parent}/recordings",
            "ppgssl_artifacts": f"{stack.project}_artifacts",
        },
    )
    reader.environment |= stack.environment
    reader.bash("ppgssl simulate --out ../recordings --subjects 10 --minutes 1")
    yield reader
    reader.end()


def run_blocks(reader: PageRunner, page: str, *, with_text: str) -> None:
    """Run the blocks of a page that hold a text; there has to be one."""
    chosen = [block for block in blocks(PAGES[page]) if with_text in str(block.parsed)]
    assert chosen
    for block in chosen:
        reader.run(block)


@pytest.fixture(scope="module")
def job_id(reader: PageRunner) -> str:
    """The job that the README has its reader post, on recordings prepared in the container."""
    run_blocks(reader, "README.md", with_text="docker compose")
    window = np.sin(2 * np.pi * 1.2 * np.arange(75_000) / 125)
    window.astype("<f4").tofile(reader.folder / "window.f32")
    run_blocks(reader, "README.md", with_text='"kind": "pretrain"')
    return reader.environment["job"]


def test_docker_without_the_toolkit_says_what_the_page_says(
    stack: ComposeStack, reader: PageRunner
):
    shown = 'could not select device driver "nvidia" with capabilities: [[gpu]]'
    reader.environment["COMPOSE_FILE"] = "docker-compose.yml"
    try:
        with pytest.raises(AssertionError, match=re.escape(shown)):
            reader.bash("docker compose up --build --detach --wait worker")
    finally:
        reader.environment |= stack.environment

    assert shown in PAGES["troubleshooting.md"].read_text("utf-8")


def the_job(stack: ComposeStack, job_id: str) -> dict[str, Any]:
    return httpx.get(f"{stack.url}/v1/jobs/{job_id}").raise_for_status().json()


def test_the_readme_leads_from_recordings_to_an_embedding(
    stack: ComposeStack, reader: PageRunner, job_id: str
):
    embedding = np.fromfile(reader.folder / "embedding.f32", dtype="<f4")

    assert the_job(stack, job_id)["status"] == "succeeded"
    assert (reader.folder / "encoder.safetensors").stat().st_size > 0
    assert embedding.shape == (512,)
    assert np.isfinite(embedding).all()


def test_jobs_and_checkpoints_come_back_from_a_backup(
    stack: ComposeStack, reader: PageRunner, job_id: str
):
    before = the_job(stack, job_id)

    run_blocks(reader, "operations.md", with_text="docker compose")

    assert the_job(stack, job_id) == before
    question = {"model": "production", "fs_hz": 125, "input": [[0.0, 1.0] * 700]}
    assert httpx.post(f"{stack.url}/v1/embeddings", json=question, timeout=60).status_code == 200


def test_a_job_that_runs_while_the_service_is_upgraded_goes_on(
    stack: ComposeStack, reader: PageRunner, job_id: str
):
    long = {
        "kind": "pretrain",
        "dataset": "my-recordings",
        "preset": "small",
        "config": {"training": LONG},
    }
    running = httpx.post(f"{stack.url}/v1/jobs", json=long, timeout=60).json()["id"]
    reached = wait_for_step(stack, running, 1)

    run_blocks(reader, "deploy.md", with_text="docker compose down")

    assert the_job(stack, job_id)["status"] == "succeeded"
    wait_for_step(stack, running, reached + 1)
    httpx.post(f"{stack.url}/v1/jobs/{running}/cancel").raise_for_status()


def wait_for_step(stack: ComposeStack, job_id: str, step: int, *, seconds: float = 120) -> int:
    """The step that a job has reached, once it runs and has reached one."""
    deadline = time.monotonic() + seconds
    while True:
        job = the_job(stack, job_id)
        reached = (job["progress"] or {"step": 0})["step"]
        if job["status"] == "running" and reached >= step:
            return reached
        assert time.monotonic() < deadline, f"not at step {step} after {seconds:g} s: {job}"
        time.sleep(0.5)
