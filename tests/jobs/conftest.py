"""A job table on each database, and a clock that only moves when told to."""

import pytest
from job_clock import Clock
from sqlalchemy import Engine

from ppgssl.jobs.store import JobStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> JobStore:
    return JobStore(engine, clock=clock)
