"""Deleted jobs: which may go, what goes with them, and that a crash in between loses no folder."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from job_clock import Clock
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from ppgssl.jobs.errors import JobInUseError, JobNotFoundError, JobStateError
from ppgssl.jobs.records import CheckpointFile, Lease, LossPoint, NewCheckpoint, NewJob, Report
from ppgssl.jobs.removal import finish_removals, remove_folder
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Checkpoint, Event, LogLine, Loss

LEASE = timedelta(seconds=60)
OF_A_JOB = (Loss, Event, LogLine, Checkpoint)


def claimed(store: JobStore) -> Lease:
    store.create(NewJob("pretrain", {}))
    claim = store.claim("worker", ["pretrain"], LEASE)
    assert claim is not None
    return claim.lease


def saved(name: str, step: int, folder: str) -> NewCheckpoint:
    return NewCheckpoint(name, step, step, 0.5, folder, [CheckpointFile("a", "00", 1)])


def finished(store: JobStore, *checkpoints: NewCheckpoint) -> str:
    """Id of a job that succeeded, with a row in every table."""
    lease = claimed(store)
    report = Report(
        points=[LossPoint(1, 1, "train", {"total": 1.0})],
        log_lines=["a line"],
        checkpoints=checkpoints or [saved("best", 1, f"jobs/{lease.job_id}/attempts/1/steps/1")],
    )
    store.record(lease, report)
    return store.succeed(lease).id


def folder_of(root: Path, job_id: str) -> Path:
    """The job's folder, with two attempts in it."""
    folder = root / "jobs" / job_id
    for attempt in ("00000002", "00000009"):
        (folder / "attempts" / attempt / "steps").mkdir(parents=True)
        (folder / "attempts" / attempt / "steps" / "state.pt").write_bytes(b"state")
    return folder


def rows(engine: Engine) -> list[int]:
    with Session(engine) as session:
        return [
            session.scalars(select(func.count()).select_from(table)).one() for table in OF_A_JOB
        ]


def test_a_deleted_job_takes_its_rows_and_its_folder_along(
    engine: Engine, store: JobStore, tmp_path: Path
):
    job_id, other = finished(store), finished(store)
    folder, stays = folder_of(tmp_path, job_id), folder_of(tmp_path, other)
    before = rows(engine)

    store.delete(job_id)
    gone = finish_removals(store, tmp_path)

    with pytest.raises(JobNotFoundError):
        store.get(job_id)
    assert rows(engine) == [count // 2 for count in before]
    assert [removal.folder for removal in gone] == [f"jobs/{job_id}"]
    assert not folder.exists()
    assert (stays / "attempts" / "00000009" / "steps" / "state.pt").exists()
    assert store.removals() == []


def test_a_job_is_deleted_once(store: JobStore):
    job_id = finished(store)
    store.delete(job_id)

    with pytest.raises(JobNotFoundError):
        store.delete(job_id)


def test_of_many_that_delete_a_job_at_once_one_does(store: JobStore, tmp_path: Path):
    job_id = finished(store)
    folder_of(tmp_path, job_id)
    start = threading.Barrier(4)

    def try_to_delete() -> bool:
        start.wait()
        try:
            store.delete(job_id)
        except JobNotFoundError:
            return False
        finally:
            finish_removals(store, tmp_path)
        return True

    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(try_to_delete) for _ in range(4)]
        outcomes = [future.result() for future in done]

    finish_removals(store, tmp_path)
    assert sorted(outcomes) == [False, False, False, True]
    assert not (tmp_path / "jobs" / job_id).exists()
    assert store.removals() == []


def test_a_job_is_deleted_or_gets_an_alias_never_both(store: JobStore):
    for _ in range(10):
        job_id = finished(store)
        start = threading.Barrier(2)

        with ThreadPoolExecutor(2) as threads:
            deleted = threads.submit(tried, start, partial(store.delete, job_id))
            aliased = threads.submit(tried, start, partial(store.set_alias, "production", job_id))

        assert deleted.result() != aliased.result()


def tried(start: threading.Barrier, do: Callable[[], object]) -> bool:
    """Whether the job let it be done."""
    start.wait()
    try:
        do()
    except (JobNotFoundError, JobInUseError):
        return False
    return True


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_only_a_finished_job_is_deleted(store: JobStore, status: str):
    job = store.create(NewJob("pretrain", {}))
    if status == "running":
        store.claim("worker", ["pretrain"], LEASE)
    if status == "paused":
        store.request_pause(job.id)

    with pytest.raises(JobStateError, match="cancel it first") as refusal:
        store.delete(job.id)

    assert refusal.value.status == status
    assert store.get(job.id).status == status


def test_an_alias_keeps_its_job_until_it_moves(store: JobStore):
    old, new = finished(store), finished(store)
    store.set_alias("production", old)

    with pytest.raises(JobInUseError, match="production"):
        store.delete(old)
    store.set_alias("production", new)
    store.delete(old)

    assert [removal.job_id for removal in store.removals()] == [old]


def test_what_a_crash_left_after_the_rows_is_finished_later(
    engine: Engine, store: JobStore, tmp_path: Path
):
    job_id = finished(store)
    folder = folder_of(tmp_path, job_id)
    store.delete(job_id)

    finish_removals(JobStore(engine), tmp_path)

    assert not folder.exists()


def test_what_a_crash_left_of_half_a_folder_or_of_the_list_is_finished_later(
    store: JobStore, tmp_path: Path
):
    half, whole = finished(store), finished(store)
    (tmp_path / "jobs" / half / "attempts").mkdir(parents=True)
    for job_id in (half, whole):
        store.delete(job_id)

    finish_removals(store, tmp_path)

    assert not (tmp_path / "jobs" / half).exists()
    assert store.removals() == []


def test_a_folder_that_the_disk_refuses_to_remove_stays_on_the_list(
    store: JobStore, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
):
    refused = finished(store)
    store.delete(refused)
    clock.advance(1)
    other = finished(store)
    store.delete(other)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / refused).write_text("no folder")

    gone = finish_removals(store, tmp_path)

    assert [removal.job_id for removal in gone] == [other]
    assert [removal.job_id for removal in store.removals()] == [refused]
    assert [record.__dict__["job_id"] for record in caplog.records] == [refused]


def test_a_link_in_a_jobs_folder_is_removed_and_what_it_leads_to_stays(tmp_path: Path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "jobs" / "job_1").mkdir(parents=True)
    outside.mkdir()
    (outside / "recording").write_text("ours")
    (root / "jobs" / "job_1" / "link").symlink_to(outside)
    (root / "jobs" / "job_2").symlink_to(outside)

    remove_folder(root, root / "jobs" / "job_1")
    remove_folder(root, root / "jobs" / "job_2")

    assert list((root / "jobs").iterdir()) == []
    assert (outside / "recording").read_text() == "ours"


def test_many_that_remove_a_folder_at_once_remove_it(tmp_path: Path):
    folder = tmp_path / "jobs" / "job_1"
    for name in range(200):
        (folder / f"{name}").mkdir(parents=True)
    start = threading.Barrier(4)

    def remove() -> None:
        start.wait()
        remove_folder(tmp_path, folder)

    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(remove) for _ in range(4)]

    assert [future.exception() for future in done] == [None] * 4
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../outside", "jobs/../../outside", "jobs/..", "linked/sub", "."])
def test_nothing_beside_the_artifact_root_is_removed(tmp_path: Path, name: str):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "jobs").mkdir(parents=True)
    (outside / "sub").mkdir(parents=True)
    (root / "linked").symlink_to(outside)

    with pytest.raises(OSError, match="does not lie in"):
        remove_folder(root, root / name)

    assert (outside / "sub").is_dir()
    assert (root / "jobs").is_dir()
