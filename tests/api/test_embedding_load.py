"""Embeddings when many ask: what is refused, who is dropped, and what goes on meanwhile."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from encoder_gate import Gate, until
from live_service import Service, serving, settings_in

from ppgssl.inference.export import PARITY, relative_distance

RAW = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Service]:
    """A service that holds the bodies of about two requests."""
    with serving(settings_in(tmp_path, embedding_queue_bytes=12_000)) as service:
        yield service


def pulse(samples: int = 1250) -> bytes:
    return np.sin(2 * np.pi * 1.2 * np.arange(samples) / 125).astype("<f4").tobytes()


def ask(service: Service, model: str = "default") -> httpx.Response:
    return httpx.post(
        f"{service.url}/v1/embeddings",
        params={"model": model},
        content=pulse(),
        headers=RAW,
        timeout=90,
    )


def waiting(service: Service) -> float:
    lines = service.http.get("/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith("ppgssl_embedding_requests ")]
    return float(line.split()[1])


def counted(service: Service, route: str, status: int) -> float:
    labels = f'{{method="POST",route="{route}",status="{status}"}}'
    lines = service.http.get("/metrics").text.splitlines()
    (line,) = [x for x in lines if x.startswith(f"ppgssl_http_requests_total{labels}")]
    return float(line.split()[1])


def test_a_full_queue_answers_429_with_the_time_to_wait_and_then_takes_again(
    small: Service, gate: Gate
):
    with ThreadPoolExecutor(2) as clients:
        taken = [clients.submit(ask, small) for _ in range(2)]
        until(lambda: waiting(small) == 2)

        refused = ask(small)

        assert (refused.status_code, refused.json()["code"]) == (429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert small.http.get("/healthz").status_code == 200
        assert small.http.get("/v1/jobs").status_code == 200
        gate.open()
        assert [answer.result().status_code for answer in taken] == [200, 200]
    assert ask(small).status_code == 200


def test_a_request_larger_than_the_queue_is_taken_when_it_is_alone(small: Service):
    answer = small.http.post("/v1/embeddings", content=pulse(12_500), headers=RAW)

    assert answer.status_code == 200


def test_a_request_that_would_wait_too_long_is_refused(tmp_path: Path, gate: Gate):
    gate.open()
    with serving(settings_in(tmp_path, embedding_wait_seconds=1e-9)) as service:
        assert ask(service).status_code == 200  # nothing waits
        gate.shut()
        with ThreadPoolExecutor(1) as clients:
            first = clients.submit(ask, service)
            until(lambda: len(gate.calls) == 2)

            assert ask(service).status_code == 429
            assert counted(service, "create_embeddings", 429) == 1

            gate.open()
            assert first.result().status_code == 200


def test_a_request_whose_body_came_after_the_queue_had_filled_is_refused(
    tmp_path: Path, gate: Gate
):
    gate.open()
    with serving(settings_in(tmp_path, embedding_wait_seconds=1e-9)) as service:
        assert ask(service).status_code == 200
        gate.shut()
        with ThreadPoolExecutor(1) as clients:
            faster: list[Future[httpx.Response]] = []

            def overtaken() -> Iterator[bytes]:
                yield pulse()
                time.sleep(0.2)  # its head is there, and nothing waits
                faster.append(clients.submit(ask, service))
                until(lambda: len(gate.calls) == 2)
                yield pulse()

            slow = httpx.post(
                f"{service.url}/v1/embeddings", content=overtaken(), headers=RAW, timeout=90
            )
            gate.open()

            assert slow.status_code == 429
            assert faster[0].result().status_code == 200


def test_the_entry_of_a_client_that_left_is_dropped(service: Service, gate: Gate):
    with ThreadPoolExecutor(1) as clients:
        computed = clients.submit(ask, service)
        until(lambda: gate.calls == [1])
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as leaving:
            head = f"POST /v1/embeddings HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\n"
            kind = "Content-Type: application/octet-stream\r\n\r\n"
            leaving.sendall((head + kind).encode() + pulse())
            until(lambda: waiting(service) == 2)
        until(lambda: waiting(service) == 1)

        gate.open()
        assert computed.result().status_code == 200
    assert ask(service).status_code == 200
    assert gate.calls == [1, 1]


def test_requests_that_come_together_share_a_batch(service: Service, gate: Gate):
    with ThreadPoolExecutor(6) as clients:
        answers = [clients.submit(ask, service)]
        until(lambda: gate.calls == [1])
        answers += [clients.submit(ask, service) for _ in range(5)]
        until(lambda: waiting(service) == 6)
        time.sleep(0.2)  # from being counted to being queued

        gate.open()
        contents = {answer.result().content for answer in answers}

    assert gate.calls == [1, 5]
    rows = np.stack([np.frombuffer(content, "<f4") for content in contents])
    assert relative_distance(rows, rows[:1].repeat(len(rows), 0)) < PARITY


def test_an_alias_moves_while_requests_come_and_none_is_dropped(
    service: Service, best_folder: Path, make_encoder
):
    other = (make_encoder("model.base_filters=2") / "best").resolve()
    jobs = [service.trained(folder).id for folder in (best_folder, other)]
    shas = {service.http.get(f"/v1/models/{job}").json()["sha256"] for job in jobs}
    service.http.put("/v1/models/production", json={"job_id": jobs[0]})
    moving = threading.Event()

    def ask_on() -> list[httpx.Response]:
        answers = list[httpx.Response]()
        while not moving.is_set():
            answers.append(ask(service, "production"))
        return answers

    with ThreadPoolExecutor(3) as clients:
        asking = [clients.submit(ask_on) for _ in range(3)]
        for turn in range(10):
            service.http.put("/v1/models/production", json={"job_id": jobs[turn % 2]})
            time.sleep(0.02)
        moving.set()
        answers = [answer for asked in asking for answer in asked.result()]

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-encoder-sha256"] for answer in answers} <= shas
    last = ask(service, "production").headers["x-encoder-sha256"]
    assert last == service.http.get(f"/v1/models/{jobs[1]}").json()["sha256"]


def test_the_service_is_ready_only_with_the_models_that_it_loads_ahead(tmp_path: Path):
    settings = settings_in(tmp_path, preload_models="default, nobody")
    with serving(settings) as service:
        until(lambda: service.http.get("/readyz").status_code == 200)

        checks = service.http.get("/readyz").json()["checks"]

    assert checks["embedding"]["model"] == "default"
