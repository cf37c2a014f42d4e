"""The client against a server that misbehaves on purpose; with the real one: tests/api."""

import asyncio
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ppgssl.client import (
    AsyncClient,
    Client,
    ProblemError,
    RefusedError,
    parse_events,
    retry_after_s,
)
from ppgssl.client.wire import root_of
from ppgssl.errors import InputError, ServiceError

JOB = {
    **dict.fromkeys(("name", "dataset", "started_at", "finished_at", "progress", "best", "error")),
    **{"id": "job_1", "kind": "pretrain", "status": "queued", "config": {}, "attempt": 0},
    **{"created_at": "2026-01-02T03:04:05Z", "warnings": [], "metadata": {}, "newer": "member"},
}


@dataclass
class Answer:
    """One scripted answer; without a status the connection is cut."""

    status: int | None = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    claims_bytes: int | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Script:
    """A server that gives its answers in order, and notes what it was asked."""

    url: str
    answers: list[Answer]
    asked: list[tuple[str, str, dict[str, str]]]
    slept: list[float] = field(default_factory=list)

    def client(self) -> Client:
        return Client(self.url, "key", sleep=self.slept.append)


@pytest.fixture
def script() -> Iterator[Script]:
    answers, asked = list[Answer](), list[Any]()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, dict(self.headers)))
            answer = answers.pop(0)
            if answer.status is None:
                self.connection.close()
                return
            self.send_response(answer.status)
            size = len(answer.content) if answer.claims_bytes is None else answer.claims_bytes
            for name, value in ({"Content-Length": str(size)} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)
            self.close_connection = True

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Script(f"http://127.0.0.1:{server.server_port}", answers, asked)
        server.shutdown()
        thread.join()


def test_the_client_loads_neither_the_server_nor_pytorch():
    code = "import sys, ppgssl.client; print({'torch', 'fastapi', 'sqlalchemy'} & set(sys.modules))"

    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert printed == "set()\n"


def test_a_job_has_typed_members_and_newer_ones_are_ignored(script: Script):
    script.answers.append(Answer(body=JOB))

    with script.client() as client:
        job = client.get("job_1")

    assert job.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert not job.is_finished
    assert script.asked[0][2]["Authorization"] == "Bearer key"


def test_a_request_that_got_lost_is_repeated_with_the_same_key(script: Script):
    script.answers += [Answer(status=None), Answer(503, {}), Answer(201, JOB)]

    with script.client() as client:
        client.submit("data")

    keys = {headers["Idempotency-Key"] for _, _, headers in script.asked}
    assert len(script.asked) == 3
    assert len(keys) == 1


def test_the_client_waits_as_long_as_it_is_told(script: Script):
    script.answers += [Answer(429, {}, {"Retry-After": "7"}), Answer(body=JOB)]

    with script.client() as client:
        client.get("job_1")

    assert script.slept == [7.0]


def test_the_asynchronous_client_waits_as_long_as_it_is_told_and_raises_the_same(script: Script):
    script.answers += [
        Answer(429, {}, {"Retry-After": "7"}),
        Answer(status=None),
        Answer(409, {"title": "Conflict", "code": "job_state_conflict"}),
    ]

    async def sleep(seconds: float) -> None:
        script.slept.append(seconds)

    async def ask() -> None:
        async with AsyncClient(script.url, "key", sleep=sleep) as client:
            await client.get("job_1")

    with pytest.raises(RefusedError) as caught:
        asyncio.run(ask())

    assert caught.value.code == "job_state_conflict"
    assert script.slept[0] == 7.0
    assert len(script.slept) == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("12", 12.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None):
    assert retry_after_s(header, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


def test_a_service_that_stays_busy_is_an_error_of_the_service(script: Script):
    busy = {"title": "Service Unavailable", "code": "busy", "detail": "try again"}
    script.answers += [Answer(503, busy)] * 5

    with script.client() as client, pytest.raises(ProblemError, match="try again") as caught:
        client.get("job_1")

    assert (caught.value.status, caught.value.code) == (503, "busy")
    assert not isinstance(caught.value, InputError)


def test_a_refusal_is_the_callers_error_and_not_repeated(script: Script):
    script.answers.append(
        Answer(409, {"title": "Conflict", "code": "job_state_conflict", "job_status": "failed"})
    )

    with script.client() as client, pytest.raises(RefusedError) as caught:
        client.pause("job_1")

    assert isinstance(caught.value, ServiceError)
    assert isinstance(caught.value, InputError)
    assert caught.value.members["job_status"] == "failed"
    assert len(script.asked) == 1


def test_a_service_that_is_not_there_is_named():
    slept = list[float]()
    client = Client("http://127.0.0.1:9", sleep=slept.append)

    with client, pytest.raises(ServiceError, match=r"127\.0\.0\.1:9: .* is the service running\?"):
        client.get("job_1")

    assert slept == sorted(slept)
    assert len(slept) == 4


@pytest.mark.parametrize("copied", ["", "/", "/v1", "/v1/"])
def test_the_prefix_of_the_routes_may_stand_in_the_url(copied: str):
    assert root_of(f"http://ppg.example.org{copied}") == "http://ppg.example.org"
    assert root_of(f"https://example.org/ppg{copied}") == "https://example.org/ppg"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", ""])
def test_a_url_that_is_none_is_refused(url: str):
    with Client(url) as client, pytest.raises(InputError, match="is no URL of a service"):
        client.get("job_1")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE HTML>\n<html lang='en'>\n<h1>Error</h1>", "in HTML"),
        (b"no such\nroute", "'no such route'"),
        (b"", "nothing"),
    ],
)
def test_what_another_server_says_is_told_in_one_line(script: Script, body: bytes, said: str):
    script.answers.append(Answer(404, body))

    with script.client() as client, pytest.raises(RefusedError) as caught:
        client.get("job_1")

    assert f"{script.url}/v1/jobs/job_1 answered {said}, not as ppgssl does" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "<" not in str(caught.value)


def test_another_servers_answer_is_not_taken_for_a_job(script: Script):
    script.answers.append(Answer(body=b"<html>"))

    with script.client() as client, pytest.raises(ServiceError, match="is another service there"):
        client.get("job_1")


def test_waiting_ends_in_time(script: Script):
    script.answers += [Answer(body=JOB)] * 2

    with script.client() as client, pytest.raises(TimeoutError, match="still queued after 0 s"):
        client.wait("job_1", timeout_s=0)


def sse(number: int, kind: str, data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\nid: {number}\n\n".encode()


def test_a_watcher_that_is_cut_off_goes_on_after_the_last_event(script: Script):
    first = sse(1, "status", {"status": "running"}) + b": ping\n\n" + b"event: progr"
    second = sse(2, "status", {"status": "succeeded"})
    script.answers += [
        Answer(body=first, claims_bytes=10_000),
        Answer(status=None),
        Answer(503, {}),
        Answer(body=second),
    ]

    with script.client() as client:
        events = list(client.watch("job_1"))

    assert [(event.id, event.data["status"]) for event in events] == [
        (1, "running"),
        (2, "succeeded"),
    ]
    assert [headers["Last-Event-ID"] for _, _, headers in script.asked] == ["0", "1", "1", "1"]


def test_a_comment_is_no_event():
    assert list(parse_events(iter([": ping", "", "data: {}", "event: x"]))) == []


def checkpoint_page(content: bytes, name: str = "a.bin", sha256: str | None = None) -> Answer:
    file = {
        "name": name,
        "size": len(content),
        "sha256": sha256 or hashlib.sha256(content).hexdigest(),
    }
    row = {"name": "best", "step": 1, "epoch": 1, "val_loss": None, "files": [file]}
    row["created_at"] = "2026-01-02T03:04:05Z"
    return Answer(body={"data": [row], "has_more": False, "next": None})


def test_a_download_that_arrives_damaged_is_repeated(script: Script, tmp_path: Path):
    script.answers += [
        *(checkpoint_page(b"content"), Answer(body=b"c0ntent")),
        *(checkpoint_page(b"content"), Answer(body=b"cont", claims_bytes=7)),
        *(checkpoint_page(b"content"), Answer(404, {})),
        *(checkpoint_page(b"content"), Answer(body=b"content")),
    ]

    with script.client() as client:
        paths = client.download("job_1", tmp_path / "new", files=None)

    assert paths == [tmp_path / "new" / "a.bin"]
    assert paths[0].read_bytes() == b"content"
    assert list((tmp_path / "new").iterdir()) == paths


def test_a_download_that_stays_damaged_leaves_the_old_file(script: Script, tmp_path: Path):
    (tmp_path / "a.bin").write_bytes(b"old")
    script.answers += [checkpoint_page(b"content"), Answer(body=b"c0ntent")] * 5

    with script.client() as client, pytest.raises(ServiceError, match="has the sha256"):
        client.download("job_1", tmp_path, files=None)

    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("name", ["../a.bin", "/etc/passwd", "..", ""])
def test_a_name_that_leads_elsewhere_is_not_written(script: Script, tmp_path: Path, name: str):
    script.answers.append(checkpoint_page(b"content", name))

    with script.client() as client, pytest.raises(ServiceError, match="no plain name"):
        client.download("job_1", tmp_path, files=None)


def test_a_file_that_the_checkpoint_does_not_have_is_refused(script: Script, tmp_path: Path):
    script.answers += [checkpoint_page(b"content")] * 2

    with script.client() as client:
        with pytest.raises(InputError, match=r"has no b\.bin; it has a\.bin"):
            client.download("job_1", tmp_path, files=["b.bin"])
        with pytest.raises(InputError, match="no checkpoint 'last'"):
            client.download("job_1", tmp_path, checkpoint="last")
