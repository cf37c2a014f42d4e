"""A real worker process that freezes in the middle of a transaction, holding its job's row."""

import os
import signal
from typing import Any

import ppgssl.jobs.queries.work as work
from ppgssl.jobs.settings import Settings
from worker.main import serve

real = work.add_points


def freezing(*arguments: Any) -> None:
    """Freeze once the row is locked; woken, go on as if nothing had been."""
    work.add_points = real
    os.kill(os.getpid(), signal.SIGSTOP)
    real(*arguments)


if __name__ == "__main__":
    work.add_points = freezing
    serve(Settings(), kinds={"fake": "fake_runs:run"})
