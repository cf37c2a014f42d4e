"""The schema, concurrent migration, and the choice of SQLite's journal."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from ppgssl.errors import ConfigError
from ppgssl.jobs.database import journal_mode, migrate, open_database
from ppgssl.jobs.tables import Base

MIGRATE = """
import sys
from ppgssl.jobs.database import migrate, open_database
engine = open_database(sys.argv[1])
sys.stdin.read(1)
migrate(engine)
engine.dispose()
"""

MOUNTS = """\
22 1 0:21 / / rw - ext4 /dev/vda rw
23 22 0:22 / /mnt/host rw - virtiofs share rw
24 22 0:23 / /mnt/host/volume rw - ext4 /dev/vdb rw
25 22 0:24 / /mnt/my\\040share rw shared:1 - nfs4 server:/ rw
26 22 0:25 / /mnt/sshfs rw - fuse.sshfs host: rw
"""


def test_migrated_schema_equals_the_tables(engine: Engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)

    assert differences == []


def test_migrating_again_changes_nothing(engine: Engine):
    migrate(engine)

    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0001"


def test_processes_that_start_at_once_migrate_once(database_url: str):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, database_url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    outcomes = [(process.communicate("x")[1], process.returncode) for process in processes]

    assert outcomes == [("", 0)] * 4


@pytest.mark.parametrize(
    ("file", "mode"),
    [
        ("/var/lib/jobs.sqlite", "wal"),
        ("/mnt/host/jobs.sqlite", "delete"),
        ("/mnt/host/volume/jobs.sqlite", "wal"),
        ("/mnt/my share/jobs.sqlite", "delete"),
        ("/mnt/sshfs/deep/jobs.sqlite", "delete"),
    ],
)
def test_wal_is_chosen_only_where_processes_share_memory(file: str, mode: str, tmp_path: Path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS, encoding="utf-8")

    assert journal_mode(Path(file), mounts) == mode


def test_migration_leaves_the_journal_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "jobs.sqlite"
    modes = []

    for chosen in ("wal", "delete"):
        monkeypatch.setattr("ppgssl.jobs.database.journal_mode", lambda _, chosen=chosen: chosen)
        engine = open_database(f"sqlite:///{file}")
        migrate(engine)
        engine.dispose()
        with closing(sqlite3.connect(file)) as connection:
            modes.append(connection.execute("PRAGMA journal_mode").fetchone()[0])

    assert modes == ["wal", "delete"]


@pytest.mark.parametrize("url", ["no url", "sqlite://", "sqlite:///:memory:", "mongodb://host/x"])
def test_a_url_that_cannot_serve_is_refused_with_the_remedy(url: str):
    with pytest.raises(ConfigError, match=r"database_url: .*sqlite:///FILE"):
        open_database(url)


def test_a_password_does_not_reach_the_message():
    with pytest.raises(ConfigError) as refused:
        open_database("nosuch://user:secret@host/name")

    assert "secret" not in str(refused.value)
