"""Webhooks over HTTP: who may be told, what is sent, and what becomes of it."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_service import Service, serving, settings_in
from sqlalchemy import Engine
from webhook_receiver import Receiver, receiving

from api.access import needed_role
from api.app import create_app
from api.webhook_hosts import AllowedHosts, WebhookHostError
from api.webhook_post import LookUp, Postman, outcome_of, sign
from api.webhook_sender import WebhookSender
from ppgssl.errors import ConfigError
from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.deliveries import Deliveries, Outcome, Try
from ppgssl.jobs.roles import Role
from ppgssl.jobs.status import JobStatus
from ppgssl.jobs.webhooks import Webhooks

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode()
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
LATER = timedelta(days=30)
START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def telling(tmp_path: Path, receiver: Receiver) -> Iterator[Service]:
    """A service that may tell the receiver."""
    with serving(settings_in(tmp_path, webhook_hosts=receiver.host)) as service:
        yield service


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path}/jobs.sqlite")
    migrate(engine)
    yield engine
    engine.dispose()


def wait_for(service: Service, webhook_id: str, status: str) -> dict[str, object]:
    """The webhook's newest delivery, once it has this status."""
    while True:
        (newest, *_) = service.http.get(f"/v1/webhooks/{webhook_id}/deliveries").json()["data"]
        if newest["status"] == status:
            return newest
        time.sleep(0.05)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def resolving_to(*addresses: str) -> LookUp:
    async def look_up(host: str) -> Sequence[str]:
        del host
        return addresses

    return look_up


def attempt(url: str) -> Try:
    return Try("msg_1", 1, url, SECRET, '{"type":"webhook.test"}')


def posted(hosts: str, url: str, look_up: LookUp, tls: ssl.SSLContext | None = None) -> Outcome:
    postman = Postman(AllowedHosts.parse(hosts), look_up=look_up, tls=tls)
    return asyncio.run(postman.post(attempt(url)))


# ------------------------------------------------------------------------------------------ routes


def test_a_job_that_is_cancelled_is_told_with_a_signature_that_holds(
    telling: Service, receiver: Receiver
):
    created = telling.http.post(
        "/v1/webhooks", json={"url": receiver.url, "events": ["cancelled"], "description": "ward"}
    )
    webhook = created.json()
    job = telling.queue("night")

    telling.http.post(f"/v1/jobs/{job.id}/cancel")
    delivery = wait_for(telling, webhook["id"], "delivered")

    (headers,), (body,) = receiver.headers, receiver.bodies
    signed = b".".join(
        [headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body]
    )
    key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    shown = telling.http.get(f"/v1/jobs/{job.id}").json()
    told = json.loads(body)
    assert created.status_code == 201
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["content-type"] == "application/json"
    assert receiver.paths == ["/jobs?ward=3"]
    assert told["type"] == "job.cancelled"
    assert told["timestamp"] == shown["finished_at"]
    assert told["data"] == {name: shown[name] for name in told["data"]}
    assert (delivery["id"], delivery["attempts"]) == (headers["webhook-id"], 1)
    assert delivery["last_status_code"] == 204


def test_the_secret_is_shown_once(telling: Service, receiver: Receiver):
    created = telling.http.post("/v1/webhooks", json={"url": receiver.url}).json()

    listed = telling.http.get("/v1/webhooks").json()["data"]

    assert created.pop("secret").startswith("whsec_")
    assert listed == [created]
    assert created["events"] == [status.value for status in JobStatus]


def test_webhooks_and_deliveries_come_in_pages(telling: Service, receiver: Receiver):
    ids = [
        telling.http.post("/v1/webhooks", json={"url": receiver.url}).json()["id"] for _ in range(3)
    ]
    told = [telling.http.post(f"/v1/webhooks/{ids[0]}/test").json()["id"] for _ in range(3)]

    for path, newest_first in (
        ("/v1/webhooks", ids[::-1]),
        (f"/v1/webhooks/{ids[0]}/deliveries", told[::-1]),
    ):
        first = telling.http.get(path, params={"limit": 2}).json()
        rest = telling.http.get(path, params={"after": first["next"]}).json()
        lost = telling.http.get(path, params={"after": "nothing"})
        assert [row["id"] for row in first["data"] + rest["data"]] == newest_first
        assert (first["has_more"], rest["has_more"]) == (True, False)
        assert problem_of(lost) == (422, "cursor_invalid")


def test_a_test_event_is_sent_and_names_the_webhook(telling: Service, receiver: Receiver):
    webhook = telling.http.post("/v1/webhooks", json={"url": receiver.url}).json()

    queued = telling.http.post(f"/v1/webhooks/{webhook['id']}/test")
    wait_for(telling, webhook["id"], "delivered")

    told = json.loads(receiver.bodies[0])
    assert queued.status_code == 202
    assert (told["type"], told["data"]) == ("webhook.test", {"id": webhook["id"]})


def test_a_deleted_webhook_is_told_nothing_and_cannot_be_found(
    telling: Service, receiver: Receiver
):
    webhook = telling.http.post("/v1/webhooks", json={"url": receiver.url}).json()
    path = f"/v1/webhooks/{webhook['id']}"

    deleted = telling.http.delete(path)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert problem_of(telling.http.delete(path)) == (404, "webhook_not_found")
    assert problem_of(telling.http.get(f"{path}/deliveries")) == (404, "webhook_not_found")
    assert problem_of(telling.http.post(f"{path}/test")) == (404, "webhook_not_found")


def test_a_webhook_that_is_gone_is_disabled_and_refuses_a_test(
    telling: Service, receiver: Receiver
):
    receiver.statuses = [410]
    webhook = telling.http.post("/v1/webhooks", json={"url": receiver.url}).json()
    path = f"/v1/webhooks/{webhook['id']}"

    telling.http.post(f"{path}/test")
    wait_for(telling, webhook["id"], "failed")

    (listed,) = telling.http.get("/v1/webhooks").json()["data"]
    assert listed["disabled_at"] is not None
    assert problem_of(telling.http.post(f"{path}/test")) == (409, "webhook_disabled")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "https://elsewhere.org/"}, "webhook_host_not_allowed"),
        ({"url": "ftp://127.0.0.1/"}, "webhook_url_invalid"),
        ({"url": "https://user:password@127.0.0.1/"}, "webhook_url_invalid"),
        ({"url": "https://xn--a.org/"}, "webhook_host_not_allowed"),
        ({"url": "https://h\n/"}, "webhook_url_invalid"),
        ({"url": "https://127.0.0.1/", "events": ["stalled"]}, "request_invalid"),
        ({"url": "https://127.0.0.1/", "events": []}, "request_invalid"),
        ({"events": ["queued"]}, "request_invalid"),
    ],
)
def test_what_may_not_be_told_is_refused(telling: Service, body: dict[str, object], code: str):
    assert problem_of(telling.http.post("/v1/webhooks", json=body)) == (422, code)


def test_without_the_setting_webhooks_are_off_and_the_answer_names_it(service: Service):
    answer = service.http.post("/v1/webhooks", json={"url": "https://hooks.example.org/"})

    assert problem_of(answer) == (422, "webhook_host_not_allowed")
    assert "PPGSSL_WEBHOOK_HOSTS allows nothing, so webhooks are off" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/webhooks", "/v1/webhooks/", "/v1/webhooks/wh_1/deliveries"])
def test_webhooks_are_an_administrators_also_to_look_at(method: str, path: str):
    assert needed_role(method, path) is Role.ADMIN


# ------------------------------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("hooks.example.org", "https://hooks.example.org/a?b=1"),
        ("Hooks.Example.org", "https://hooks.example.ORG:443/"),
        ("a.org, hooks.example.org:8443", "https://hooks.example.org:8443/"),
        ("*.example.org", "https://deep.hooks.example.org/"),
        ("http://receiver:9000", "http://receiver:9000/"),
        ("10.0.0.7", "https://10.0.0.7/"),
        ("[fd00::7]", "https://[fd00::7]/"),
    ],
)
def test_a_listed_host_is_let_through(setting: str, url: str):
    assert AllowedHosts.parse(setting).check(url).host == httpx.URL(url).host


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("", "https://hooks.example.org/"),
        ("hooks.example.org", "http://hooks.example.org/"),
        ("hooks.example.org", "https://hooks.example.org:8443/"),
        ("hooks.example.org", "https://hooks.example.org.evil.net/"),
        ("hooks.example.org", "https://evilhooks.example.org/"),
        ("*.example.org", "https://example.org/"),
        ("*.example.org", "https://evilexample.org/"),
        ("http://receiver:9000", "https://receiver:9000/"),
        ("http://receiver:9000", "http://receiver:9001/"),
        ("10.0.0.0/8", "https://10.0.0.7/"),
    ],
)
def test_a_host_that_is_not_listed_is_refused_with_the_settings_name(setting: str, url: str):
    with pytest.raises(WebhookHostError, match="PPGSSL_WEBHOOK_HOSTS allows"):
        AllowedHosts.parse(setting).check(url)


@pytest.mark.parametrize("entry", ["a b/", "*.*.org", "10.0.0.0/99", "ftp://a.org", "a.org/path"])
def test_an_entry_that_is_no_host_keeps_the_service_from_starting(tmp_path: Path, entry: str):
    settings = settings_in(tmp_path, webhook_hosts=f"b.org,{entry}")

    with pytest.raises(ConfigError, match=r"PPGSSL_WEBHOOK_HOSTS: .* is no host"):
        create_app(settings)


PRIVATE = [
    *("127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "::1", "fd00::7", "fe80::1", "::ffff:127.0.0.1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_may_not_lead_to_a_private_address(address: str):
    outcome = posted(
        "hooks.example.org", "https://hooks.example.org/", resolving_to("93.184.216.34", address)
    )

    assert outcome.status_code is None
    assert outcome.error is not None
    assert f"leads to {address}, which is not a public address" in outcome.error


@pytest.mark.parametrize(
    ("setting", "url", "address"),
    [
        ("hooks.lan, 10.0.0.0/8", "https://hooks.lan/", "10.0.0.7"),
        ("10.0.0.7", "https://10.0.0.7/", "10.0.0.7"),
        ("http://hooks.lan", "http://hooks.lan/", "127.0.0.1"),
        ("hooks.example.org", "https://hooks.example.org/", "93.184.216.34"),
    ],
)
def test_a_private_address_that_is_meant_is_reached(setting: str, url: str, address: str):
    hosts = AllowedHosts.parse(setting)

    assert hosts.pick_address(hosts.check(url), [address]) == address


# ----------------------------------------------------------------------------------------- sending


def test_the_signature_is_that_of_the_standards_own_example():
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_redirect_is_a_failure_and_not_followed(receiver: Receiver):
    with receiving([307], location=receiver.url) as redirecting:
        outcome = posted(
            f"{redirecting.host}, {receiver.host}", redirecting.url, resolving_to("127.0.0.1")
        )

    assert (outcome.status_code, outcome.is_delivered) == (307, False)
    assert receiver.bodies == []


def test_the_connection_is_made_to_the_address_that_was_checked(receiver: Receiver):
    url = f"http://hooks.invalid:{receiver.port}/jobs"  # a name that no resolver knows

    outcome = posted(
        f"http://hooks.invalid:{receiver.port}", url, resolving_to("127.0.0.1", "127.0.0.9")
    )

    assert outcome == Outcome(status_code=204)
    assert receiver.headers[0]["host"] == f"hooks.invalid:{receiver.port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `hooks.invalid`, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "hooks.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=hooks.invalid", "-addext", "subjectAltName=DNS:hooks.invalid"]
    subprocess.run(
        [*request, *names, "-keyout", file, "-out", file.with_suffix(".crt")],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@pytest.mark.parametrize(("name", "is_delivered"), [("hooks", True), ("other", False)])
def test_the_certificate_must_be_the_names_and_not_the_addresses(
    certificate: Path, name: str, is_delivered: bool
):
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    believing = ssl.create_default_context(cafile=str(certificate))

    with receiving(tls=served) as receiver:
        hosts = f"*.invalid:{receiver.port}, 127.0.0.0/8"
        url = f"https://{name}.invalid:{receiver.port}/"
        outcome = posted(hosts, url, resolving_to("127.0.0.1"), believing)

    assert outcome.is_delivered is is_delivered
    assert is_delivered or "Hostname mismatch" in str(outcome.error)


def test_a_receiver_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        postman = Postman(AllowedHosts.parse(host), timeout_s=0.2)

        outcome = asyncio.run(postman.post(attempt(f"{host}/")))

    assert outcome == Outcome(error="no answer within 0.2 s")


def test_a_receiver_that_is_not_there_is_an_outcome(receiver: Receiver):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"http://127.0.0.1:{closed.getsockname()[1]}"

    outcome = posted(host, f"{host}/", resolving_to("127.0.0.1"))

    assert (outcome.status_code, str(outcome.error).split(":")[0]) == (None, "ConnectError")


def test_a_failed_try_is_repeated_with_the_same_id_and_a_signature_of_its_own(
    engine: Engine, receiver: Receiver
):
    receiver.statuses = [500, 204]
    now = [timedelta()]
    deliveries = Deliveries(engine, clock=lambda: START + now[0])
    webhooks = Webhooks(engine, clock=lambda: START)
    endpoint = webhooks.create(receiver.url, list(JobStatus))
    webhooks.queue_test(endpoint.id)
    hosts = AllowedHosts.parse(receiver.host)

    for wait in (timedelta(), LATER):
        now[0] = wait
        seconds = (START + wait).timestamp()
        postman = Postman(hosts, clock=lambda seconds=seconds: seconds)
        assert asyncio.run(WebhookSender(deliveries, postman).send_due()) == 1

    first, second = receiver.headers
    (row,) = webhooks.deliveries(endpoint.id).items
    assert first["webhook-id"] == second["webhook-id"] == row.id
    assert first["webhook-signature"] != second["webhook-signature"]
    assert (row.status, row.attempts) == ("delivered", 2)


def test_one_delivery_that_cannot_be_tried_does_not_keep_the_others(
    engine: Engine, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    webhooks = Webhooks(engine)
    damaged, well = (webhooks.create(receiver.url, list(JobStatus)) for _ in range(2))
    webhooks.queue_test(damaged.id)
    webhooks.queue_test(well.id)
    postman = Postman(AllowedHosts.parse(receiver.host))
    send = postman.post

    async def post(tried: Try) -> Outcome:
        if tried.secret == damaged.secret:
            raise KeyError("a defect")
        return await send(tried)

    postman.post = post
    asyncio.run(WebhookSender(Deliveries(engine), postman).send_due())

    (failed,), (told,) = (webhooks.deliveries(row.id).items for row in (damaged, well))
    assert (failed.status, told.status) == ("pending", "delivered")
    assert "could not be tried" in caplog.text


def test_a_sender_outlives_a_database_that_is_away(
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr("api.webhook_sender.AWAY_S", 0.01)
    engine = open_database(f"sqlite:///{tmp_path}/jobs.sqlite")
    webhooks = Webhooks(engine)

    with WebhookSender(Deliveries(engine), Postman(AllowedHosts.parse(receiver.host))):
        while "webhooks wait" not in caplog.text:  # there are no tables yet
            time.sleep(0.01)
        migrate(engine)
        endpoint = webhooks.create(receiver.url, list(JobStatus))
        webhooks.queue_test(endpoint.id)
        while webhooks.deliveries(endpoint.id).items[0].status != "delivered":
            time.sleep(0.05)

    engine.dispose()
    assert len(receiver.bodies) == 1


def test_a_sender_that_is_told_to_stop_does_not_wait_for_a_receiver(engine: Engine):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        webhooks = Webhooks(engine)
        endpoint = webhooks.create(f"{host}/", list(JobStatus))
        webhooks.queue_test(endpoint.id)

        with WebhookSender(Deliveries(engine), Postman(AllowedHosts.parse(host))):
            connection, _ = silent.accept()

    connection.close()
    (row,) = webhooks.deliveries(endpoint.id).items
    assert (row.status, row.attempts) == ("pending", 1)
    assert "webhooks" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(("text", "seconds"), [("120", 120.0), ("", 0.0), ("Fri, 31 Dec", 0.0)])
def test_an_answer_may_ask_for_a_pause_in_seconds(text: str, seconds: float):
    answer = httpx.Response(503, headers={"Retry-After": text})

    assert outcome_of(answer) == Outcome(status_code=503, retry_after_s=seconds)


def test_two_services_on_one_database_send_each_delivery_once(tmp_path: Path, receiver: Receiver):
    settings = settings_in(tmp_path, webhook_hosts=receiver.host)
    with serving(settings) as one, serving(settings):
        webhook = one.http.post("/v1/webhooks", json={"url": receiver.url}).json()

        for _ in range(20):
            one.queue()
        path = f"/v1/webhooks/{webhook['id']}/deliveries"
        while any(row["status"] == "pending" for row in one.http.get(path).json()["data"]):
            time.sleep(0.05)

    ids = [headers["webhook-id"] for headers in receiver.headers]
    assert len(ids) == len(set(ids)) == 20


def test_an_answer_without_end_is_not_read():
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(ConnectionError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
            while True:
                connection.sendall(bytes(65536))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        host = f"http://127.0.0.1:{listening.getsockname()[1]}"
        outcome = posted(host, f"{host}/", resolving_to("127.0.0.1"))
        thread.join()

    assert outcome == Outcome(status_code=200)


# ------------------------------------------------------------------------------- what is written


def test_the_urls_of_webhooks_stay_out_of_the_log():
    program = """
import logging
from ppgssl.jobs.structured_logging import configure_logging
configure_logging("DEBUG")
logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example.org/secret")
logging.getLogger("api").info("this is seen")
"""

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert "this is seen" in run.stderr
    assert "secret" not in run.stderr


def test_the_lines_that_the_documentation_gives_tell_a_signature_from_a_forgery():
    given: dict[str, Any] = {}
    (lines,) = re.findall(
        r"<!-- block: verify -->\n```python\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL
    )
    exec(lines, given)
    now = int(time.time())

    def is_taken(body: bytes, *, sent_at: int = now, secret: str = SECRET) -> bool:
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(sent_at),
            "webhook-signature": f"v1,AAAA {sign(secret, 'msg_1', sent_at, '{}')}",
        }
        return given["verify"](SECRET, headers, body)

    assert is_taken(b"{}")
    assert not is_taken(b"{ }")
    assert not is_taken(b"{}", sent_at=now - 301)
    assert not is_taken(b"{}", secret="whsec_AAAA")
