"""A real worker process whose clock steps by an hour, back and forth, three times a second."""

import time
from datetime import datetime, timedelta

import worker.main
from ppgssl.jobs.queries.transactions import utc_now
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore

STEPS = (timedelta(0), timedelta(hours=1), timedelta(hours=-1))


def stepping() -> datetime:
    """The time of day of a machine that cannot make up its mind."""
    return utc_now() + STEPS[int(time.monotonic() * 3) % len(STEPS)]


if __name__ == "__main__":
    worker.main.JobStore = lambda engine: JobStore(engine, clock=stepping)
    worker.main.serve(Settings(), kinds={"fake": "fake_runs:run"})
