"""The child process: does one order and tells its parent, one JSON object a line, what happens.

`python -m worker.child ORDER.json FD`: messages go to the inherited file descriptor FD; whatever
is written to stdout and stderr becomes the job's log. SIGTERM asks it to stop at a checkpoint; it
dies with its parent. It knows no database.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

from ppgssl.child_process import EXIT_FAILED, die_with_parent
from ppgssl.errors import PpgsslError
from ppgssl.jobs.status import Reason
from ppgssl.training.interrupt import stop_on_signals
from ppgssl.training.memory import is_out_of_memory
from ppgssl.training.progress import CheckpointSaved, LossPoint, Progress, RunPlan
from worker.kinds import load_runner
from worker.order import Order
from worker.reporter import Stage

OF_TRAINING = tuple(field.name for field in fields(Progress) if field.name not in {"step", "steps"})


class PipeReporter:
    """Sends what a run tells as JSON lines."""

    def __init__(self, pipe: TextIO, out: Path) -> None:
        self._pipe = pipe
        self._out = out

    def send(self, kind: str, content: dict[str, Any]) -> None:
        """Write one message; waits while the parent is behind."""
        self._pipe.write(json.dumps({"type": kind, **content}) + "\n")
        self._pipe.flush()

    def started(self, plan: RunPlan) -> None:
        """The run's plan."""
        self.send("started", asdict(plan))

    def losses(self, points: Sequence[LossPoint]) -> None:
        """New loss points."""
        self.send("losses", {"points": [asdict(point) for point in points]})

    def progress(self, progress: Progress) -> None:
        """Where the run is."""
        self.send("progress", asdict(progress))

    def stage(self, stage: Stage) -> None:
        """Where a run is that has no epochs."""
        absent = dict.fromkeys(OF_TRAINING)
        where = asdict(stage)
        self.send("progress", {**absent, "stage": where.pop("name"), **where})

    def checkpoint(self, saved: CheckpointSaved) -> None:
        """A checkpoint, with the folder that its name points at now: soon it may be another."""
        self.send(
            "checkpoint", {**asdict(saved), "folder": str((self._out / saved.name).resolve())}
        )

    def warning(self, message: str) -> None:
        """A warning for the user."""
        self.send("warning", {"message": message})

    def note(self, message: str) -> None:
        """The run has written it into the job's log."""


def main() -> None:
    """Do the order and exit: 0 with its result told, 1 with its error told."""
    order = Order.read(Path(sys.argv[1]))
    die_with_parent(order.parent_pid)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with os.fdopen(int(sys.argv[2]), "w", encoding="utf-8") as pipe, stop_on_signals() as stopped:
        reporter = PipeReporter(pipe, Path(order.out))
        try:
            stop_reason = load_runner(order.runner)(order, reporter, stopped)
        except Exception as error:
            traceback.print_exc()
            reporter.send("error", {"code": error_code(error), "message": describe(error)})
            sys.exit(EXIT_FAILED)
        reporter.send("result", {"stop_reason": stop_reason})


def error_code(error: Exception) -> str:
    """The stable code of an error: ppgssl's own, `out_of_memory`, or `internal_error`."""
    if isinstance(error, PpgsslError):
        return error.code
    return Reason.OUT_OF_MEMORY if is_out_of_memory(error) else Reason.INTERNAL_ERROR


def describe(error: Exception) -> str:
    """What the job shows; an error that we did not raise ourselves is named by its type."""
    return str(error) if isinstance(error, PpgsslError) else f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
