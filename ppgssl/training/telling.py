"""What a run tells, as one JSON object a line: from the process that trains to the one that asked.

{"tells": "losses", "content": [...]}       every method of `Reporter`
{"tells": "result", "content": {...}}       how it ended
{"tells": "error", "content": {...}}        what ended it
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ppgssl.errors import PpgsslError, RunError
from ppgssl.training.memory import is_out_of_memory
from ppgssl.training.progress import (
    CheckpointSaved,
    LossPoint,
    Progress,
    Reporter,
    RunPlan,
)

OUT_OF_MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Message:
    """One line."""

    tells: str
    content: Any

    @classmethod
    def read(cls, line: str) -> "Message":
        """The inverse of `text`."""
        return cls(**json.loads(line))

    def text(self) -> str:
        """One line, with its end."""
        return json.dumps(asdict(self)) + "\n"


class TellingReporter:
    """Sends what it is told, a line at a time.

    Args:
        send: Takes a line; may wait while the reader is behind.
        heard: Waits until the last message was taken in; called after a checkpoint, whose name may
            soon point at another.
    """

    def __init__(self, send: Callable[[str], object], heard: Callable[[], None]) -> None:
        self._send = send
        self._heard = heard

    def tell(self, tells: str, content: object) -> None:
        """Send one message."""
        self._send(Message(tells, content).text())

    def started(self, plan: RunPlan) -> None:
        """The run's plan."""
        self.tell("started", asdict(plan))

    def losses(self, points: Sequence[LossPoint]) -> None:
        """New loss points."""
        self.tell("losses", [asdict(point) for point in points])

    def progress(self, progress: Progress) -> None:
        """Where the run is."""
        self.tell("progress", asdict(progress))

    def checkpoint(self, saved: CheckpointSaved) -> None:
        """A checkpoint."""
        self.tell("checkpoint", asdict(saved))
        self._heard()

    def warning(self, message: str) -> None:
        """A warning for the user."""
        self.tell("warning", message)

    def note(self, message: str) -> None:
        """News that ask for nothing."""
        self.tell("note", message)


def retell(message: Message, reporter: Reporter) -> None:
    """Tell a reporter in this process what was told in another."""
    content = message.content
    match message.tells:
        case "started":
            reporter.started(RunPlan(**content))
        case "losses":
            reporter.losses([LossPoint(**point) for point in content])
        case "progress":
            reporter.progress(Progress(**content))
        case "checkpoint":
            reporter.checkpoint(CheckpointSaved(**content))
        case "warning":
            reporter.warning(content)
        case "note":
            reporter.note(content)
        case _:
            raise AssertionError(f"a training process told of {message.tells!r}")


def describe_error(error: Exception) -> dict[str, str]:
    """Code and text of an error; of ours, want of memory, or any other."""
    if isinstance(error, PpgsslError):
        return {"code": error.code, "text": str(error)}
    code = OUT_OF_MEMORY if is_out_of_memory(error) else RunError.code
    return {"code": code, "text": f"{type(error).__name__}: {error}"}


def rebuild_error(code: str, text: str) -> Exception:
    """The error that `describe_error` described."""
    if code == OUT_OF_MEMORY:
        return MemoryError(text)
    kinds = {kind.code: kind for kind in _all_kinds(PpgsslError)}
    return kinds.get(code, RunError)(text)


def _all_kinds(kind: type[PpgsslError]) -> list[type[PpgsslError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _all_kinds(child))]
