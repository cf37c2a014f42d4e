"""The service and the process that embeds for it: one may die, and is started anew or followed."""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from encoder_gate import Gate, until
from live_service import Service, serving, settings_in

from api.embedder import Embedder
from api.metrics import Metrics
from ppgssl.inference.granularity import Granularity

RAW = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}
PULSE = np.sin(2 * np.pi * 1.2 * np.arange(1250) / 125).astype("<f4")

EMBED_ONCE = """
import asyncio, sys
from pathlib import Path
import numpy as np
from api.app import create_app
from api.embedder import Embedder
from api.metrics import Metrics
from ppgssl.inference.granularity import Granularity
from ppgssl.jobs.settings import Settings

async def embed():
    embedder = Embedder(None, Settings(device="cpu"), Metrics())
    pulse = np.sin(np.arange(1250, dtype=np.float32)[None] / 16)
    answer = await embedder.embed("default", pulse, 125.0, Granularity.WINDOW)
    await embedder.close()
    return answer.found[0].embedding.shape

print(asyncio.run(embed()), "torch" in sys.modules)
"""


def ask(service: Service) -> httpx.Response:
    return httpx.post(
        f"{service.url}/v1/embeddings", content=PULSE.tobytes(), headers=RAW, timeout=90
    )


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_whoever_waits_when_the_process_dies_is_told_and_the_next_one_is_served(
    service: Service, gate: Gate
):
    with ThreadPoolExecutor(2) as clients:
        waiting = [clients.submit(ask, service) for _ in range(2)]
        until(lambda: gate.calls)

        os.kill(gate.pid, signal.SIGKILL)
        lost = [answer.result() for answer in waiting]

    assert {(answer.status_code, answer.json()["code"]) for answer in lost} == {
        (503, "encoder_process_lost")
    }
    assert {answer.headers["retry-after"] for answer in lost} == {"2"}
    gate.open()
    assert ask(service).status_code == 200
    assert service.http.get("/readyz").status_code == 200


def test_the_process_ends_with_the_service(tmp_path: Path, gate: Gate):
    gate.open()
    with serving(settings_in(tmp_path)) as service:
        assert ask(service).status_code == 200
        assert is_running(gate.pid)

    assert not is_running(gate.pid)


def test_what_stops_the_whole_service_leaves_the_process_to_the_api(service: Service, gate: Gate):
    with ThreadPoolExecutor(1) as clients:
        waiting = clients.submit(ask, service)
        until(lambda: gate.calls)

        for stopping in (signal.SIGINT, signal.SIGTERM):
            os.kill(gate.pid, stopping)
        gate.open()

        assert waiting.result().status_code == 200


def test_a_process_that_does_not_end_is_ended(tmp_path: Path, gate: Gate, monkeypatch):
    monkeypatch.setattr("api.encoder_process.handle.STOP_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as clients:
        with serving(settings_in(tmp_path)) as service:
            clients.submit(ask, service)
            until(lambda: gate.calls)

        assert not is_running(gate.pid)


def test_the_process_ends_when_the_service_is_killed(tmp_path: Path, gate: Gate):
    """However the API dies, the process sees that the other end of their pair is closed."""
    gate.open()
    script = tmp_path / "embed_and_wait.py"
    stay = "print('up', flush=True); import time; time.sleep(60)"
    script.write_text(
        "import api.encoder_process.handle as handle\n"
        f"handle.PROGRAM = {gate.program!r}\n"
        f"{EMBED_ONCE.replace('await embedder.close()', stay)}"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as api:
        assert api.stdout is not None
        assert api.stdout.readline() == "up\n"
        api.kill()

    until(lambda: not is_running(gate.pid))


def test_the_service_embeds_without_importing_what_computes():
    said = subprocess.check_output([sys.executable, "-c", EMBED_ONCE], text=True)

    assert said == "(1, 512) False\n"


def test_calls_at_the_same_time_start_one_process(service: Service, monkeypatch):
    started = list[list[str]]()

    class Noted(subprocess.Popen):
        def __init__(self, command, **options) -> None:
            started.append(command)
            super().__init__(command, **options)

    monkeypatch.setattr("api.encoder_process.handle.subprocess.Popen", Noted)
    embedder = Embedder(service.store, service.settings, Metrics())

    async def embed_twice() -> None:
        once = embedder.embed("default", PULSE[None], 125.0, Granularity.WINDOW)
        again = embedder.embed("default", PULSE[None], 125.0, Granularity.WINDOW)
        await asyncio.gather(once, again)
        await embedder.close()

    asyncio.run(embed_twice())

    assert len(started) == 1
