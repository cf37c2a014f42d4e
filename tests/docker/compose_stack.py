"""The service in containers, for tests: built, started, driven and removed with Docker Compose.

Each stack has a project name, an image name and a port of its own, so that it never meets one that
somebody uses on this machine.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
FILES = ("docker-compose.yml", "docker-compose.cpu.yml")


def missing_engine() -> str | None:
    """Why no stack can run on this machine, or None where one can."""
    if shutil.which("docker") is None:
        return "no docker command"
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            return f"{' '.join(command)}: {answer.stderr.strip()}"
    return None


@dataclass(frozen=True)
class ComposeStack:
    """The services of the compose files under one project name, published on one port."""

    project: str
    port: int

    @property
    def url(self) -> str:
        """Where the API is reached from this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What tells `docker compose`, in a clone, that this stack is meant."""
        return {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": os.pathsep.join(FILES),
            "COMPOSE_PROGRESS": "plain",
            "PPGSSL_PORT": str(self.port),
            "PPGSSL_IMAGE": f"{self.project}-image",
        }

    def compose(self, *arguments: str) -> str:
        """Run `docker compose` on this stack and return what it wrote to stdout.

        Raises:
            RuntimeError: The command failed; the message holds what it said.
        """
        answer = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=ROOT,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            said = f"{answer.stdout}\n{answer.stderr}".strip()
            raise RuntimeError(f"docker compose {' '.join(arguments)}:\n{said}")
        return answer.stdout

    def execute(self, service: str, *command: str) -> str:
        """Run a command inside a service's container and return its stdout."""
        return self.compose("exec", "--no-TTY", service, *command)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows about a service's container."""
        container = self.compose("ps", "--quiet", service).strip()
        answer = subprocess.run(
            ["docker", "inspect", container], check=True, capture_output=True, text=True
        )
        return json.loads(answer.stdout)[0]


@contextmanager
def own_stack() -> Generator[ComposeStack]:
    """A project of the tests' own, nothing of it built yet; what became of it goes at the end."""
    stack = ComposeStack(project=f"ppgssl-test-{os.getpid()}", port=_free_port())
    try:
        yield stack
    finally:
        stack.compose("down", "--volumes", "--rmi", "all", "--timeout", "10")
        # Each service's build tagged the same image; the one tagged first has lost its name.
        own = f"label=com.docker.compose.project={stack.project}"
        subprocess.run(
            ["docker", "image", "prune", "--force", "--filter", own],
            check=True,
            capture_output=True,
        )


@contextmanager
def running_stack() -> Generator[ComposeStack]:
    """Build the image, start both services and wait for their health; remove it all at the end."""
    with own_stack() as stack:
        stack.compose("build")
        try:
            stack.compose("up", "--detach", "--wait", "--wait-timeout", "180")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{stack.compose('logs', '--no-color')}") from error
        yield stack


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
