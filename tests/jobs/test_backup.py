"""The commands of docs/operations.md, run as they stand there, on a job table in use."""

import os
import re
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.records import NewJob
from ppgssl.jobs.store import JobStore

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def run_block(
    name: str, *, artifacts: Path, backup: Path, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the block of the documentation that is called so; stop at its first failure."""
    found = re.search(
        rf"<!-- block: {name} -->\n```bash\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL
    )
    assert found is not None
    places = {"ARTIFACTS": str(artifacts), "BACKUP": str(backup)}
    return subprocess.run(
        ["bash", "-euc", f"{before}\n{found[1]}"],
        env=os.environ | places,
        capture_output=True,
        text=True,
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
    taken = run_block("backup", artifacts=artifacts, backup=backup)
    done.set()
    writer.join()
    put_back = run_block("restore", artifacts=restored, backup=backup)

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

    taken = run_block("backup", artifacts=artifacts, backup=tmp_path / "backup")

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

    taken = run_block(
        "backup",
        artifacts=tmp_path / "artifacts",
        backup=tmp_path / "backup",
        before="ulimit -f 8",  # no file above 8 KiB can be written
    )

    assert taken.returncode != 0


def test_a_backup_of_unreadable_artifacts_fails(tmp_path: Path):
    taken = run_block("backup", artifacts=tmp_path / "absent", backup=tmp_path / "backup")

    assert taken.returncode != 0


def test_a_checkpoint_that_was_replaced_meanwhile_does_not_fail_the_backup(tmp_path: Path):
    weights = job_with_weights(tmp_path / "artifacts")
    replaced = 'tar() { command tar "$@" && case "$*" in *" -c "*) return 1; esac; }'

    taken = run_block(
        "backup",
        artifacts=tmp_path / "artifacts",
        backup=tmp_path / "backup",
        before=replaced,
    )

    copied = tmp_path / "backup" / weights.relative_to(tmp_path / "artifacts")
    assert (taken.returncode, taken.stderr) == (0, "")
    assert copied.read_bytes() == weights.read_bytes()
