"""A migrated job table on each database, and a clock that only moves when told to."""

from collections.abc import Iterator

import pytest
from job_clock import Clock
from sqlalchemy import Engine

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.store import JobStore


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a migrated database."""
    engine = open_database(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> JobStore:
    return JobStore(engine, clock=clock)
