"""A migrated job table on each database, and a clock that only moves when told to."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from job_clock import Clock
from sqlalchemy import Engine, create_engine, text

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.store import JobStore

POSTGRES_FOLDERS = [Path("/usr/local/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]


def find_postgres(program: str) -> str | None:
    """Where a PostgreSQL server program is; servers are seldom on the PATH."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, POSTGRES_FOLDERS)])
    return shutil.which(program, path=places)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of the maintenance database of a private server, reachable by a socket file only."""
    initdb, pg_ctl = find_postgres("initdb"), find_postgres("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("no PostgreSQL server: install Debian's postgresql, or put initdb on the PATH")
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="ppgssl-postgres-") as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        run = partial(subprocess.run, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL)
        data = str(folder / "data")
        run([initdb, "-D", data, "-U", "tester", "-A", "trust", "-N"])
        server = [pg_ctl, "-D", data, "-l", str(folder / "log"), "-w"]
        run([*server, "-o", f"-c listen_addresses= -c fsync=off -k {folder}", "start"])
        yield f"postgresql+psycopg://tester@/postgres?host={folder}"
        run([*server, "-m", "immediate", "stop"])


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """URL of an empty database."""
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS jobs WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE jobs"))
    engine.dispose()
    return postgres_server.replace("/postgres?", "/jobs?")


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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> JobStore:
    return JobStore(engine, clock=clock)
