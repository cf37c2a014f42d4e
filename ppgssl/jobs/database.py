"""Opening the job table's database, and bringing it to the newest revision.

SQLite and PostgreSQL. Every transaction on SQLite begins with BEGIN IMMEDIATE unless the
connection says that it only reads: a transaction that starts as a reader and then writes fails
with "database is locked" as soon as somebody else wrote in between, however long it would wait.
"""

import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from ppgssl.errors import ConfigError

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 30.0
HIDE_PARAMETERS = True  # in errors, which are logged: the secrets of webhooks are among them
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
"""Raised by the store while the database cannot be reached, cannot write, or has ended a
transaction (PostgreSQL, of a client that froze): worth another try."""

PATIENCE: Mapping[str, str] = MappingProxyType(
    {
        "connect_timeout": "10",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "25000",  # milliseconds
    }
)
"""Parameters of libpq, unless the URL has others. A server whose machine was switched off says
nothing: without them a write waits for it for a quarter of an hour."""

IDLE_IN_TRANSACTION_S = 10
"""PostgreSQL ends a transaction whose client is silent for so long: frozen or switched off in the
middle of a write, it would keep the job's row, and nobody could take the job over."""

MOUNTS = Path("/proc/self/mountinfo")
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x70706773  # "ppgs": any number that no other program on the server locks

# Shared memory does not reach across these, and WAL's index is shared memory: two kernels, or two
# containers on one such mount, would corrupt the file in silence (sqlite.org/wal.html).
NO_SHARED_MEMORY = frozenset(
    {"virtiofs", "9p", "nfs", "nfs4", "cifs", "smb3", "smbfs", "fakeowner", "vboxsf", "ceph"}
)


def open_database(url: str) -> Engine:
    """An engine for `url`; an SQLite file's folder is made, the file itself by the first use.

    Raises:
        ConfigError: The URL cannot be read, or its driver is not installed.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in {"postgres", "postgresql"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed.render_as_string(hide_password=False), parsed.database)
        return _open_postgres(parsed)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise ConfigError(
            f"PPGSSL_DATABASE_URL: cannot open {url.split('@')[-1]!r} ({error}); use "
            "sqlite:///FILE, or postgresql://user:password@host/name with "
            "`pip install 'ppgssl[postgres]'`"
        ) from error


def check_database(url: str) -> None:
    """Open the database once and bring its tables up to date, before a service starts on it.

    Raises:
        ConfigError: The URL cannot be read, its driver is not installed, nothing answers there, or
            what lies there is no database.
    """
    engine = open_database(url)
    try:
        migrate(engine)
    except (DBAPIError, sqlite3.DatabaseError) as error:  # the latter while it connects
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        raise ConfigError(
            f"PPGSSL_DATABASE_URL: cannot use {engine.url.render_as_string()}: {reason}; "
            "start the database, or name another one"
        ) from error
    finally:
        engine.dispose()


def _open_postgres(url: URL) -> Engine:
    """An engine that notices a server that is gone, and whose server notices when we are."""
    engine = create_engine(
        url.set(query={**PATIENCE, **url.query}),
        pool_pre_ping=True,
        hide_parameters=HIDE_PARAMETERS,
    )
    event.listen(engine, "connect", _configure_postgres)
    return engine


def _configure_postgres(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'")
    connection.commit()
    cursor.close()


def _open_sqlite(url: str, file: str | None) -> Engine:
    if not file or file == ":memory:":
        raise ConfigError(
            "PPGSSL_DATABASE_URL: an SQLite database in memory cannot be shared by two services; "
            "use sqlite:///FILE"
        )
    folder = Path(file).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"PPGSSL_DATABASE_URL: cannot make the folder {folder} of the SQLite file "
            f"({error.strerror}); give PPGSSL_ARTIFACT_ROOT or the URL another place"
        ) from error
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=HIDE_PARAMETERS
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # or Python 3.11 begins transactions of its own, deferred
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # a job that succeeded survives a power cut


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("only_reads", False)
    connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")


def migrate(engine: Engine) -> None:
    """Create the tables or bring them to the newest revision.

    Any number of processes may call this at once: the first migrates, the others wait for it and
    find nothing to do.
    """
    if engine.dialect.name == "sqlite":
        _choose_journal(engine)
    config = _alembic_config()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def known_revisions() -> list[str]:
    """Revisions of the tables that this version knows, the newest last."""
    scripts = ScriptDirectory.from_config(_alembic_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def revision_of(engine: Engine) -> str | None:
    """The revision that a database is at; None where it has no tables yet. Changes nothing."""
    with engine.connect().execution_options(only_reads=True) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for other databases."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def _alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _choose_journal(engine: Engine) -> None:
    assert engine.url.database is not None
    wanted = journal_mode(Path(engine.url.database))
    connection = engine.raw_connection()  # the mode cannot be changed inside a transaction
    try:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while _journal(connection.cursor()) != wanted:
            try:
                connection.cursor().execute(f"PRAGMA journal_mode = {wanted}")
            except sqlite3.OperationalError:  # this change does not wait for others by itself
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
    finally:
        connection.close()


def _journal(cursor: DBAPICursor) -> str:
    cursor.execute("PRAGMA journal_mode")
    (mode,) = cursor.fetchall()[0]
    return mode


def journal_mode(file: Path, mounts: Path = MOUNTS) -> str:
    """`wal` where the file's file system lets processes share memory, else `delete`."""
    if not mounts.exists():  # not Linux: a local disk is the rule
        return "wal"
    kind = _file_system(file.absolute(), mounts.read_text(encoding="utf-8").splitlines())
    if kind in NO_SHARED_MEMORY or kind.startswith("fuse"):
        log.info("%s lies on %s: journal mode delete instead of wal", file, kind)
        return "delete"
    return "wal"


def _file_system(file: Path, mountinfo: Sequence[str]) -> str:
    """Type of the file system that holds `file`: the deepest mount above it, the last on a tie."""
    deepest, kind = -1, ""
    for line in mountinfo:
        before, _, after = line.partition(" - ")
        mount_point = Path(_unescape(before.split()[4]))
        depth = len(mount_point.parts)
        if depth >= deepest and file.resolve().is_relative_to(mount_point):
            deepest, kind = depth, after.split()[0]
    return kind


def _unescape(field: str) -> str:
    """Undo mountinfo's octal escapes for space, tab, newline and backslash."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
