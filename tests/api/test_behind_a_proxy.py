"""The service behind nginx, configured as docs/deploy.md shows it."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from live_service import Service

from ppgssl.client import parse_events

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
MAIN = """
daemon off;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    {site}
}}
"""


def shown_site(service: Service, folder: Path, port: int) -> str:
    """The page's server, on another port, with other certificates, in front of this service."""
    shown = re.search(
        r"<!-- file: ppgssl.conf -->\n```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    assert shown is not None
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/ppg.example.org.": f"{folder}/",
        "http://127.0.0.1:8000": service.url,
    }
    site = shown[1]
    for text, here in changes.items():
        assert text in site
        site = site.replace(text, here)
    return site


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def proxy(service: Service, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of nginx, whatever name its certificate has."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir()
    certify = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ppg"]
    files = ["-keyout", folder / "key", "-out", folder / "pem"]
    subprocess.run([*certify, *files], check=True, capture_output=True)
    (folder / "conf").write_text(MAIN.format(folder=folder, site=shown_site(service, folder, port)))
    nginx = ["nginx", "-c", folder / "conf", "-p", folder, "-e", folder / "errors"]
    subprocess.run([*nginx, "-t"], check=True, capture_output=True)
    process = subprocess.Popen(nginx)
    try:
        wait_for_port(port)
        trust = ssl.create_default_context(cafile=folder / "pem")
        trust.check_hostname = False
        url = f"https://127.0.0.1:{port}"
        with httpx.Client(base_url=url, verify=trust, timeout=20) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            time.sleep(0.02)


def test_what_is_asked_through_the_proxy_is_answered_and_has_one_request_id(proxy: httpx.Client):
    answer = proxy.get("/readyz")

    assert answer.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_figures_are_not_shown_to_the_world(proxy: httpx.Client):
    assert proxy.get("/metrics").status_code == 403


def test_events_come_while_the_job_still_waits(proxy: httpx.Client, service: Service):
    job = service.queue()

    with proxy.stream("GET", f"/v1/jobs/{job.id}/events") as answer:
        first = next(parse_events(answer.iter_lines()))

    assert first.data["status"] == "queued"
    assert service.store.get(job.id).status == "queued"


def test_a_body_that_is_too_large_is_refused_by_the_service_and_not_by_a_broken_connection(
    proxy: httpx.Client, service: Service
):
    body = bytes(30 * service.settings.max_body_bytes)
    alone = {"Connection": "close"}  # nginx ends one whose body it has not passed on, unannounced

    refusals = [proxy.post("/v1/embeddings", content=body, headers=alone) for _ in range(10)]

    assert {answer.status_code for answer in refusals} == {413}
    assert {answer.json()["code"] for answer in refusals} == {"body_too_large"}
