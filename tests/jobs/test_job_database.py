"""The schema, concurrent migration, and the choice of SQLite's journal."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, insert

from ppgssl.errors import ConfigError
from ppgssl.jobs.database import MIGRATIONS, journal_mode, migrate, open_database
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Base
from ppgssl.jobs.webhooks import Webhooks

REVISIONS = [
    script.revision for script in reversed([*ScriptDirectory(str(MIGRATIONS)).walk_revisions()])
]

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
        assert MigrationContext.configure(connection).get_current_revision() == REVISIONS[-1]


def upgrade_to(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def insert_old_rows(engine: Engine) -> None:
    """A job with all that 0001 knew of one; and a webhook that was told, where there are any."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    of_job = {"job_seq": 1, "created_at": now}
    rows = {
        "jobs": {
            **{"seq": 1, "id": "job_1", "kind": "pretrain", "config": {"seed": 7}, "metadata": {}},
            **{"request_sha256": "0" * 64, "status": "succeeded", "priority": 0, "attempt": 1},
            **{"keeps_attempt": False, "max_attempts": 3, "ran_s": 2.5, "created_at": now},
            **{"queued_at": now, "warnings": ["w"], "last_event": 1, "last_line": 1},
        },
        "job_losses": {
            **{"job_seq": 1, "step": 1, "split": "train", "epoch": 1, "total": 0.5},
            "values": {"total": 0.5},
        },
        "job_loss_blocks": {
            **{"job_seq": 1, "split": "train", "block": 0, "points": 1, "first_step": 1},
            **{"last_step": 1, "lowest": 0.5, "lowest_step": 1, "highest": 0.5, "highest_step": 1},
        },
        "job_events": {**of_job, "id": 1, "type": "warning", "data": {"message": "w"}},
        "job_logs": {**of_job, "line": 1, "attempt": 1, "text": "a line"},
        "job_checkpoints": {
            **{**of_job, "name": "best", "job_id": "job_1", "attempt": 1, "step": 1, "epoch": 1},
            **{"folder": "jobs/job_1/steps/1", "files": []},
        },
        "model_aliases": {
            **{"alias": "production", "job_seq": 1, "job_id": "job_1", "checkpoint": "best"},
            "updated_at": now,
        },
        "webhook_endpoints": {
            **{"seq": 1, "id": "wh_1", "url": "https://example.org", "events": ["failed"]},
            **{"secret": "whsec_AAAA", "created_at": now},
        },
        "webhook_deliveries": {
            **{"seq": 1, "id": "msg_1", "endpoint_seq": 1, "type": "job.failed", "body": "{}"},
            **{"created_at": now, "status": "delivered", "attempts": 2, "ended_at": now},
        },
    }
    tables = MetaData()
    tables.reflect(engine)
    with engine.begin() as connection:
        for name, row in rows.items():
            if name in tables.tables:
                connection.execute(insert(tables.tables[name]), row)


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgrade_from_every_released_revision_keeps_the_rows(database_url: str, revision: str):
    engine = open_database(database_url)
    upgrade_to(engine, revision)
    insert_old_rows(engine)

    migrate(engine)

    store = JobStore(engine)
    job = store.get("job_1")
    assert (job.status, job.config, job.ran_s, job.warnings) == (
        "succeeded",
        {"seed": 7},
        2.5,
        ["w"],
    )
    for history in (store.losses("job_1"), store.losses("job_1", max_points=1)):
        assert [loss.values for loss in history] == [{"total": 0.5}]
    assert [event.data for event in store.events("job_1").items] == [{"message": "w"}]
    assert [line.text for line in store.log_lines("job_1").items] == ["a line"]
    assert store.find_model("production").folder == "jobs/job_1/steps/1"
    told = [row.url for row in Webhooks(engine).endpoints().items]
    assert told == (["https://example.org"] if revision >= "0003" else [])
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    engine.dispose()


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
    with pytest.raises(ConfigError, match=r"PPGSSL_DATABASE_URL: .*sqlite:///FILE"):
        open_database(url)


def test_a_file_whose_folder_cannot_be_made_is_refused_with_the_remedy(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"cannot make the folder .*; give PPGSSL_ARTIFACT_ROOT"):
        open_database(f"sqlite:///{tmp_path}/file/artifacts/jobs.sqlite")


def test_a_password_does_not_reach_the_message():
    with pytest.raises(ConfigError) as refused:
        open_database("nosuch://user:secret@host/name")

    assert "secret" not in str(refused.value)
