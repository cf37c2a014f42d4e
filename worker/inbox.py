"""Collects what a child process tells, until the worker writes it to the job table.

Filled by the threads that read the child's pipes, emptied by the worker's own; holds no database
and no process.
"""

import hashlib
import json
import logging
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppgssl.jobs.records import CheckpointFile, Lease, LossPoint, NewCheckpoint, Report
from ppgssl.json_values import finite

log = logging.getLogger(__name__)

TAIL_LINES = 10


@dataclass(frozen=True, slots=True)
class ChildError:
    """The error that ended a run, as the child told it."""

    code: str
    message: str


class Inbox:
    """Messages and log lines of the child of one claim, merged into reports."""

    def __init__(self, artifact_root: Path, lease: Lease) -> None:
        self._artifact_root = artifact_root.resolve()
        self._log = logging.LoggerAdapter(log, lease.log_context)
        self._lock = threading.Lock()
        self._clear()
        self.stop_reason: str | None = None
        """Why the run ended, once the child has said so."""
        self.error: ChildError | None = None
        """What ended the run, once the child has said so."""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        """The newest log lines."""

    def _clear(self) -> None:
        self._plan: dict[str, Any] | None = None
        self._progress: dict[str, Any] | None = None
        self._points: list[LossPoint] = []
        self._checkpoints: list[NewCheckpoint] = []
        self._warnings: list[str] = []
        self._log_lines: list[str] = []

    def take(self) -> Report:
        """Everything since the last call."""
        with self._lock:
            report = Report(
                plan=self._plan,
                points=self._points,
                progress=self._progress,
                checkpoints=self._checkpoints,
                warnings=self._warnings,
                log_lines=self._log_lines,
            )
            self._clear()
        return report

    def add_log_line(self, line: str) -> None:
        """Keep one line of the child's output."""
        text = line.rstrip("\r\n").replace(
            "\0", "\N{REPLACEMENT CHARACTER}"
        )  # PostgreSQL takes none
        with self._lock:
            self._log_lines.append(text)
            self.tail.append(text)

    def add_message(self, line: str) -> None:
        """Keep one message; see `worker.child.PipeReporter` for what there is."""
        message: dict[str, Any] = json.loads(line)
        kind = message.pop("type")
        if kind == "checkpoint":  # hashing takes a while: not under the lock
            self._add_checkpoint(message)
            return
        with self._lock:
            match kind:
                case "started":
                    self._plan = message
                case "losses":
                    self._points += [LossPoint(**point) for point in message["points"]]
                case "progress":
                    self._progress = shown_progress(message)
                case "warning":
                    self._warnings.append(message["message"])
                case "result":
                    self.stop_reason = message["stop_reason"]
                case "error":
                    self.error = ChildError(**message)
                case _:
                    raise AssertionError(f"a child sent a message of the unknown type {kind!r}")

    def _add_checkpoint(self, message: dict[str, Any]) -> None:
        folder = Path(message.pop("folder"))
        try:
            files = describe_files(folder)
        except FileNotFoundError:
            self._log.info("checkpoint %s was replaced before it was recorded", folder)
            return  # the message about the one that replaced it is on its way
        relative = folder.relative_to(self._artifact_root).as_posix()
        with self._lock:
            self._checkpoints.append(NewCheckpoint(**message, folder=relative, files=files))


def shown_progress(progress: dict[str, Any]) -> dict[str, Any]:
    """Progress as jobs show it: with the fraction done, and null for what is not finite."""
    steps = progress["steps"]
    shown = {**progress, "fraction": min(1.0, progress["step"] / steps) if steps else 0.0}
    return {name: finite(value) for name, value in shown.items()}


def describe_files(folder: Path) -> tuple[CheckpointFile, ...]:
    """Name, sha256 and size of each file in a checkpoint folder, by name.

    Raises:
        FileNotFoundError: The folder or one of its files is gone.
    """
    return tuple(
        CheckpointFile(path.name, _sha256(path), path.stat().st_size)
        for path in sorted(folder.iterdir())
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
