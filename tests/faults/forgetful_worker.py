"""A real worker process that is not told of half of its commits: done, and reported as failed."""

import random
from typing import Any

from sqlalchemy.exc import OperationalError

from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from worker.main import serve

CHANCE = random.Random(0)


def forget_answers(method: str) -> None:
    """Let every other call of the store's method break off after its commit."""
    real = getattr(JobStore, method)

    def forgetful(store: JobStore, *arguments: Any) -> Any:
        answer = real(store, *arguments)
        if CHANCE.random() < 0.5:
            raise OperationalError("COMMIT", {}, ConnectionError("the answer never came"))
        return answer

    setattr(JobStore, method, forgetful)


if __name__ == "__main__":
    for method in ("record", "renew_lease", "succeed"):
        forget_answers(method)
    serve(Settings(), kinds={"fake": "fake_runs:run"})
