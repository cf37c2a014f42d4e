"""Servers in processes of their own: started, asked until they answer, put to sleep, stopped."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

START_SECONDS = 120.0
STOP_SECONDS = 10.0
LINES_SHOWN = 15
RAW = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and all processes that it started, which are one group."""

    url: str
    pid: int

    def resident_bytes(self) -> int:
        """Memory of all its processes; what they share is counted for each."""
        return sum(_resident_bytes(folder) for folder in _processes(self.pid))

    def sleep(self) -> None:
        """Stop its clock: servers that are not being timed shall cost those that are nothing."""
        os.killpg(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)


def _processes(group: int) -> Iterator[Path]:
    """Folders under /proc of a group's processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may end at any moment
            _, _, of_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group:
                yield folder


def _resident_bytes(process: Path) -> int:
    pages = int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def ppgssl_api() -> Generator[Server]:
    """This service with its defaults, but for the rate limit, and with empty folders."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        settings = {
            "PPGSSL_ARTIFACT_ROOT": folder,
            "PPGSSL_DATA_ROOT": folder,
            "PPGSSL_DEVICE": "cpu",
            "PPGSSL_PORT": str(port),
            "PPGSSL_PRELOAD_MODELS": "default",
            "PPGSSL_RATE_LIMIT_PER_MINUTE": "0",
        }
        command = [sys.executable, "-m", "api"]
        url = f"http://127.0.0.1:{port}"
        with serving(command, url, ready="/readyz", environment=settings) as server:
            yield server


@contextmanager
def serving(
    command: Sequence[str], url: str, *, ready: str, environment: Mapping[str, str]
) -> Generator[Server]:
    """Run a server until the block ends; it begins when `ready` is answered with 200.

    Raises:
        RuntimeError: It ended, or did not answer in time; with the end of what it said.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, url + ready)
            yield Server(url, process.pid)
        except RuntimeError as error:
            said.seek(0)
            lines = said.read().splitlines()[-LINES_SHOWN:]
            raise RuntimeError("\n".join([str(error), *lines])) from error
        finally:
            _stop(process)


def allow_many_connections() -> None:
    """Let this process and those that it starts have as many open as the system lets them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} gave no answer in {START_SECONDS:g} s")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=START_SECONDS) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group."""
    for ending in (signal.SIGCONT, signal.SIGTERM):
        _signal_group(process.pid, ending)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, ending: signal.Signals) -> None:
    try:
        os.killpg(group, ending)
    except ProcessLookupError:
        return
