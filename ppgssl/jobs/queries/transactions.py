"""How every query of the job table reaches the database, and what time it is there.

Writes on SQLite begin by taking the lock, reads never wait for a writer; see
`ppgssl.jobs.database`.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Transactions:
    """One database and one clock. Thread-safe.

    Args:
        engine: From `open_database`, migrated.
        clock: Now, in UTC. Leases are compared with it: machines that share a database need
            clocks that agree to well within the lease.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._writer = engine
        self._reader = engine.execution_options(only_reads=True)
        self._clock = clock

    @contextmanager
    def _read(self) -> Generator[Session]:
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _write(self) -> Generator[Session]:
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session
