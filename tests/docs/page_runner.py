"""Runs the blocks of a page in order, as a reader would: in one folder, one shell, one interpreter.

`bash` and `python` blocks have to succeed. In a `console` block every line behind `$` is run, and
what follows it has to be what came out, up to numbers, line breaks and what `...` stands for.
Other languages are read by their parsers, or are plain text.

    tests/docs/setup/NAME.sh    what has to be there before the page NAME.md begins
    NOT_RUN                     commands that no test can run, each with the reason
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

SETUP = Path(__file__).parent / "setup"
NOT_RUN = {
    "git pull": "the repository is here",
    "make ": "installs, or runs this suite",
    "git clone": "the repository is here",
    "pip install": "everything is installed",
    "docker ": "tests/docker/test_docker_pages.py does",
    "python scripts/draw_": "draws the pictures of this page into the repository",
    "python scripts/scaling.py": "tests/docs/test_scaling_page.py does",
    "kubectl ": "tests/test_kubernetes.py checks the manifests",
    "sudo ": "changes the machine; tests/docs/test_deploy_page.py checks the files",
    "curl -X POST localhost:8000/v1/webhooks": "tests/api/test_webhooks.py does",
    "pg_": "tests/jobs runs on PostgreSQL where it is installed",
    "createdb": "the same",
    "ppgssl train --config ssl_pretraining": "hours without a GPU",
    "tensorboard ": "a server of its own",
}
TEXT = {"text", "nginx", "ini", "toml"}
LANGUAGES = {"bash", "console", "python", "json", "yaml"} | TEXT
ADDRESS = "127.0.0.1:8000"


def blocks(page: Path) -> list[Example]:
    """Every fenced block of a page whose language is named."""
    parsers = [CodeBlockParser(language, _unused) for language in sorted(LANGUAGES)]
    return list(Document.parse(str(page), *parsers))


def language(block: Example) -> str:
    return block.region.lexemes["arguments"]


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what is shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\")) + 1
        yield "\n".join(lines[:end]), "\n".join(lines[end:])


@dataclass
class PageRunner:
    """One reader of one page: a folder, and the state of a shell and of an interpreter.

    `instead` says what stands here for what a page shows: an address, somebody's folder.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    namespace: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=lambda: _free_port())
    instead: dict[str, str] = field(default_factory=dict)
    not_run: tuple[str, ...] = tuple(NOT_RUN)
    started: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        binaries = Path(sys.executable).parent
        self.instead |= {ADDRESS: f"127.0.0.1:{self.port}"}
        self.environment |= {
            "PATH": f"{binaries}:{self.environment['PATH']}",
            "PPGSSL_PORT": str(self.port),
            "PPGSSL_URL": f"http://127.0.0.1:{self.port}",
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            "TESTS": str(Path(__file__).parent),
            "COLUMNS": "100",
        }

    def set_up(self, page: str) -> None:
        """Run what the page takes for granted."""
        script = SETUP / f"{Path(page).with_suffix('').as_posix().replace('/', '-')}.sh"
        if script.is_file():
            self.bash(script.read_text("utf-8"))

    def run(self, block: Example) -> None:
        """Run one block.

        Raises:
            AssertionError: A command failed, or said something else than the page does.
        """
        source = str(block.parsed)
        for shown, here in self.instead.items():
            source = source.replace(shown, here)
        match language(block):
            case "bash" if self.is_run(source):
                self.bash(source)
            case "console":
                for command, shown in commands(source):
                    if self.is_run(command):
                        self.console(command, shown)
            case "python":
                PythonEvaluator()(_in_namespace(block, source, self.namespace))
            case "json":
                json.loads(source)
            case "yaml":
                list(yaml.safe_load_all(source))
            case _:
                pass

    def is_run(self, command: str) -> bool:
        """Whether a command, or any line of a block of them, is one that can be run here."""
        return not any(line.lstrip().startswith(self.not_run) for line in command.splitlines())

    def bash(self, script: str) -> str:
        """What a script wrote; it has to succeed."""
        status, output = self._shell(f"set -euo pipefail\n{script}")
        assert status == 0, f"exit status {status} of\n{script}\n{output}"
        return output

    def console(self, command: str, shown: str) -> None:
        """Run one command of a console; it may fail only where the page shows how."""
        status, output = self._shell(command)
        fails = re.search("^error: ", shown, re.MULTILINE) is not None
        assert (status != 0) == fails, f"exit status {status} of\n{command}\n{output}"
        assert says(output, shown), f"{command}\nsaid\n{output}\nand not\n{shown}"

    def end(self) -> None:
        """Stop what the page started."""
        for group in self.started:
            try:
                os.killpg(group, signal.SIGTERM)
                for _ in range(50):
                    os.killpg(group, 0)
                    time.sleep(0.1)
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _shell(self, script: str) -> tuple[int, str]:
        state, log = self.folder.parent / "environment", self.folder.parent / "output"
        keep = f'env -0 > "{state}"\n'
        with log.open("wb") as out:
            shell = subprocess.Popen(
                ["bash", "-c", f"set -a\n{script}\nstatus=$?\n{keep}exit $status"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.started.append(shell.pid)
            status = shell.wait()
        if state.is_file():
            pairs = state.read_bytes().decode().split("\0")[:-1]
            self.environment = dict(pair.split("=", 1) for pair in pairs)
            state.unlink()
        return status, log.read_text("utf-8", errors="replace")


def says(output: str, shown: str) -> bool:
    """Whether an output holds what is shown, in order; numbers and line breaks may differ."""
    place, said = 0, _without_numbers(output)
    for part in map(_without_numbers, re.split(r"^\.\.\.$|\s\.\.\.$", shown, flags=re.MULTILINE)):
        found = said.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _without_numbers(text: str) -> str:
    text = re.sub(r"[─━╌-]{3,}", "---", text)
    return " ".join(re.sub(r"-?\d+([.,]\d+)*", "0", text).split())


def _in_namespace(block: Example, source: str, namespace: dict[str, Any]) -> Example:
    parsed = type(block.parsed)(source, block.parsed.offset, block.parsed.line_offset)
    block.region.parsed = block.parsed = parsed
    block.namespace = namespace
    return block


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _unused(example: Example) -> None:
    raise AssertionError("blocks are run by PageRunner")
