"""A private PostgreSQL server: started, broken and restarted by a test, gone after it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine, text

FOLDERS = [Path("/usr/local/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]


def find_postgres(program: str) -> str | None:
    """Where a PostgreSQL server program is; servers are seldom on the PATH."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, FOLDERS)])
    return shutil.which(program, path=places)


class PostgresServer:
    """A server in a folder, reachable by a socket file there and by nothing else."""

    def __init__(self, folder: Path, initdb: str, pg_ctl: str) -> None:
        self._folder = folder
        self._user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._data = str(folder / "data")
        self._control = [pg_ctl, "-D", self._data, "-l", str(folder / "log"), "-w"]
        self._run([initdb, "-D", self._data, "-U", "tester", "-A", "trust", "-N"])

    def url(self, database: str = "postgres") -> str:
        """Where a database of the server is; `postgres` is there from the beginning."""
        return f"postgresql+psycopg://tester@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses= -c fsync=off -k {self._folder}"
        self._run([*self._control, "-o", options, "start"])

    def crash(self) -> None:
        """End it in the middle of whatever it does; it recovers from its log when it starts."""
        self._run([*self._control, "-m", "immediate", "stop"])

    def create(self, database: str) -> str:
        """URL of an empty database of this name."""
        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {database}"))
        engine.dispose()
        return self.url(database)

    def _run(self, command: list[str]) -> None:
        subprocess.run(
            command, cwd=self._folder, user=self._user, check=True, stdout=subprocess.DEVNULL
        )


@contextmanager
def running_postgres() -> Iterator[PostgresServer | None]:
    """A server that runs, and is removed afterwards; None where PostgreSQL is not installed."""
    initdb, pg_ctl = find_postgres("initdb"), find_postgres("pg_ctl")
    if initdb is None or pg_ctl is None:
        yield None
        return
    with TemporaryDirectory(prefix="ppgssl-postgres-") as folder:
        server = PostgresServer(Path(folder), initdb, pg_ctl)
        server.start()
        yield server
        server.crash()
