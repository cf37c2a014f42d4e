"""A real worker process that dies by SIGKILL at a named point of a job's life.

`python mortal_worker.py POINT`. Points of POINTS are the worker's own; at those of `mortal_runs`
it is the run's process that dies, once.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mortal_runs

from ppgssl.jobs.records import Claim, Lease, Report
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from worker.main import serve


def dies_before(method: str, matters: Callable[..., bool]) -> None:
    """Die instead of the first call of the store's method whose arguments matter."""
    real = getattr(JobStore, method)

    def mortal(store: JobStore, *arguments: Any) -> Any:
        if matters(*arguments):
            mortal_runs.die()
        return real(store, *arguments)

    setattr(JobStore, method, mortal)


def dies_after(method: str, matters: Callable[..., bool]) -> None:
    """Die once the first such call has been committed; `matters` gets its answer first."""
    real = getattr(JobStore, method)

    def mortal(store: JobStore, *arguments: Any) -> Any:
        answer = real(store, *arguments)
        if matters(answer, *arguments):
            mortal_runs.die()
        return answer

    setattr(JobStore, method, mortal)


def is_claim(answer: Claim | None, *_: object) -> bool:
    return answer is not None


def has_points(_: Lease, report: Report) -> bool:
    return bool(report.points)


def has_checkpoint(_: Lease, report: Report) -> bool:
    return bool(report.checkpoints)


POINTS: dict[str, Callable[[], None]] = {
    "after claim": lambda: dies_after("claim", is_claim),
    "before losses": lambda: dies_before("record", has_points),
    "before publish": lambda: dies_before("record", has_checkpoint),
    "after publish": lambda: dies_after("record", lambda _, *call: has_checkpoint(*call)),
    "before complete": lambda: dies_before("succeed", lambda _: True),
    "after complete": lambda: dies_after("succeed", lambda *_: True),
}

if __name__ == "__main__":
    point = sys.argv[1]
    os.environ[mortal_runs.POINT] = point
    os.environ["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)  # for the run's process
    POINTS.get(point, lambda: None)()
    serve(Settings(), kinds={"fake": "mortal_runs:fake", "pretrain": "mortal_runs:pretrain"})
