"""A real worker process that cannot write a word to the job table until its runs have ended."""

import time
from typing import Any

from sqlalchemy.exc import OperationalError

from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from worker.main import serve

AWAY_S = 2.0


def go_away() -> None:
    """Refuse reports for some time from the first one on."""
    record = JobStore.record
    back_at = None

    def refuse(store: JobStore, *arguments: Any) -> Any:
        nonlocal back_at
        back_at = back_at or time.monotonic() + AWAY_S
        if time.monotonic() < back_at:
            raise OperationalError("BEGIN", {}, ConnectionError("the database is away"))
        return record(store, *arguments)

    setattr(JobStore, "record", refuse)  # noqa: B010


if __name__ == "__main__":
    go_away()
    serve(Settings(), kinds={"fake": "fake_runs:run"})
