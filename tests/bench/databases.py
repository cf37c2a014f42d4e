"""Fixtures: an empty database of each kind. PostgreSQL runs on a server of the tests' own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, running_postgres
from sqlalchemy import Engine

from ppgssl.jobs.database import migrate, open_database


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server that all tests of the session share."""
    with running_postgres() as server:
        if server is None:
            pytest.skip("no PostgreSQL server: install Debian's postgresql, or put initdb on PATH")
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """URL of an empty database."""
    return postgres_server.create("jobs")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, of each kind in turn."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/jobs.sqlite"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a migrated database."""
    engine = open_database(database_url)
    migrate(engine)
    yield engine
    engine.dispose()
