"""`deploy/backup.sh` and `restore.sh`, on a job table in use."""

import os
import shlex
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.errors import JobNotFoundError
from ppgssl.jobs.records import NewJob
from ppgssl.jobs.store import JobStore

DEPLOY = Path(__file__).parents[2] / "deploy"


def back_up(
    artifacts: Path, backup: Path, *more: str, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the script in a shell that was told something before."""
    places = shlex.join([str(artifacts), str(backup), *more])
    return subprocess.run(
        ["bash", "-c", f"{before}\nset -- {places}\nsource {DEPLOY / 'backup.sh'}"],
        capture_output=True,
        text=True,
    )


def restore(backup: Path, artifacts: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DEPLOY / "restore.sh", backup, artifacts, *more], capture_output=True, text=True
    )


def open_store(artifacts: Path) -> JobStore:
    engine = open_database(f"sqlite:///{artifacts}/ppgssl.sqlite")
    migrate(engine)
    return JobStore(engine)


def test_a_backup_taken_while_jobs_are_queued_is_whole(tmp_path: Path):
    artifacts, backup, restored = (tmp_path / name for name in ("artifacts", "backup", "restored"))
    store = open_store(artifacts)
    before = [store.create(NewJob("pretrain", {"seed": seed})).id for seed in range(5)]
    weights = artifacts / "jobs" / before[0] / "steps" / "00000001" / "encoder.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    (artifacts / "jobs" / before[0] / "last").symlink_to("steps/00000001")
    done = threading.Event()

    def keep_writing() -> None:
        while not done.is_set():
            store.create(NewJob("pretrain", {}))

    writer = threading.Thread(target=keep_writing)
    writer.start()
    taken = back_up(artifacts, backup)
    done.set()
    writer.join()
    put_back = restore(backup, restored)

    assert (taken.returncode, taken.stderr) == (0, "")
    assert (put_back.returncode, put_back.stderr) == (0, "")
    with closing(sqlite3.connect(restored / "ppgssl.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    again = open_store(restored)
    assert [again.get(job_id).config["seed"] for job_id in before] == [0, 1, 2, 3, 4]
    last = restored / "jobs" / before[0] / "last"
    assert last.is_symlink()
    assert (last / "encoder.safetensors").read_bytes() == b"weights"


def test_a_backup_of_a_broken_job_table_says_so(tmp_path: Path):
    artifacts = tmp_path / "artifacts"
    (artifacts / "jobs").mkdir(parents=True)
    (artifacts / "ppgssl.sqlite").write_bytes(b"no database at all, but long enough to be read")

    taken = back_up(artifacts, tmp_path / "backup")

    assert taken.returncode != 0
    assert "file is not a database" in taken.stderr


def job_with_weights(artifacts: Path, size: int = 64_000) -> Path:
    """Path of the weights that a job left, so many bytes."""
    job = open_store(artifacts).create(NewJob("pretrain", {}))
    weights = artifacts / "jobs" / job.id / "encoder.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"w" * size)
    return weights


def test_a_backup_that_does_not_fit_fails(tmp_path: Path):
    job_with_weights(tmp_path / "artifacts")

    no_file_above_8_kib = "ulimit -f 8"
    taken = back_up(tmp_path / "artifacts", tmp_path / "backup", before=no_file_above_8_kib)

    assert taken.returncode != 0


def test_a_backup_of_unreadable_artifacts_fails(tmp_path: Path):
    taken = back_up(tmp_path / "absent", tmp_path / "backup")

    assert taken.returncode != 0


def test_a_checkpoint_that_was_replaced_meanwhile_does_not_fail_the_backup(tmp_path: Path):
    weights = job_with_weights(tmp_path / "artifacts")
    replaced = 'tar() { command tar "$@" && case "$*" in *" -c "*) return 1; esac; }'

    taken = back_up(tmp_path / "artifacts", tmp_path / "backup", before=replaced)

    copied = tmp_path / "backup" / weights.relative_to(tmp_path / "artifacts")
    assert (taken.returncode, taken.stderr) == (0, "")
    assert copied.read_bytes() == weights.read_bytes()


def test_nothing_is_restored_over_what_is_there(tmp_path: Path):
    job_with_weights(tmp_path / "artifacts")
    backup = tmp_path / "backup"
    assert back_up(tmp_path / "artifacts", backup).returncode == 0

    put_back = restore(backup, tmp_path / "artifacts")

    assert put_back.returncode == 2
    assert put_back.stderr.startswith(f"error: {tmp_path}/artifacts is not empty")


@pytest.mark.root
def test_root_gives_restored_files_to_the_owner_of_the_artifact_root(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    weights = job_with_weights(tmp_path / "artifacts")
    assert back_up(tmp_path / "artifacts", tmp_path / "backup").returncode == 0
    restored = tmp_path / "restored"
    restored.mkdir()
    os.chown(restored, 10001, 10001)

    assert restore(tmp_path / "backup", restored).returncode == 0

    again = restored / weights.relative_to(tmp_path / "artifacts")
    assert {path.stat().st_uid for path in (restored, again)} == {10001}


@pytest.mark.postgres
def test_a_job_table_on_postgresql_is_dumped_and_put_back(tmp_path: Path, postgres_url: str):
    artifacts, backup = tmp_path / "artifacts", tmp_path / "backup"
    weights = job_with_weights(artifacts)
    engine = open_database(postgres_url)
    migrate(engine)
    store = JobStore(engine)
    kept = store.create(NewJob("pretrain", {"seed": 3}))
    url = postgres_url.replace("+psycopg", "")

    taken = back_up(artifacts, backup, url)
    later = store.create(NewJob("pretrain", {"seed": 4}))
    put_back = restore(backup, tmp_path / "restored", url)

    assert (taken.returncode, taken.stderr) == (0, "")
    assert (put_back.returncode, put_back.stderr) == (0, "")
    assert store.get(kept.id).config == {"seed": 3}
    with pytest.raises(JobNotFoundError):
        store.get(later.id)
    engine.dispose()
    assert (tmp_path / "restored" / weights.relative_to(artifacts)).read_bytes()
