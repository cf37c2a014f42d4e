"""Rounds of housekeeping with a clock that is stepped: what is done, what stays, what is logged."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from live_service import serving, settings_in
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from api.encoders import FoundEncoder, keep_encoder, remove_unused_encoders
from api.housekeeping import Housekeeping
from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.records import JobError, Lease, NewCheckpoint, NewJob, Report
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job

LEASE = timedelta(seconds=60)
DAY_S = 86_400.0


class House:
    """A job table, its artifacts, and the housekeeping of one process, at a time that we set."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.now = datetime.now(UTC)
        self.store = JobStore(engine, clock=lambda: self.now)
        self.settings = settings_in(folder)

    def keep(self, **given: Any) -> Housekeeping:
        """Do one round with these settings."""
        self.settings = settings_in(self.folder, **given)
        keeper = Housekeeping(self.store, self.settings, clock=lambda: self.now)
        keeper.keep_house()
        return keeper

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def claim(self) -> Lease:
        self.store.create(NewJob("pretrain", {}))
        claim = self.store.claim("worker-1", ["pretrain"], LEASE)
        assert claim is not None
        return claim.lease

    def saved(self, lease: Lease, name: str, step: int) -> Path:
        """A checkpoint in its folder and in the table."""
        relative = f"jobs/{lease.job_id}/attempts/{lease.number:08d}/steps/{step:08d}"
        folder = self.settings.artifact_root / relative
        folder.mkdir(parents=True)
        (folder / "state.pt").write_bytes(b"state")
        new = NewCheckpoint(name, step, step, 0.5, relative, [])
        self.store.record(lease, Report(checkpoints=[new]))
        return folder

    def finished(self) -> str:
        """Id of a job that succeeded now, and left a checkpoint."""
        lease = self.claim()
        self.saved(lease, "best", 1)
        return self.store.succeed(lease).id


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    engine = open_database(f"sqlite:///{tmp_path}/jobs.sqlite")
    migrate(engine)
    yield House(engine, tmp_path)
    engine.dispose()


def answer(value: Sequence[str]) -> Callable[..., Sequence[str]]:
    """What a method of the store is replaced by, to answer this."""

    def method(**_: object) -> Sequence[str]:
        return value

    return method


def failure(error: Exception) -> Callable[..., None]:
    """What a method of the store is replaced by, to fail so."""

    def method(**_: object) -> None:
        raise error

    return method


def ids(store: JobStore) -> list[str]:
    return [job.id for job in store.jobs().items]


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    return [
        (record.getMessage().split()[0], getattr(record, "job_id", None))
        for record in caplog.records
        if record.name == "api.housekeeping"
    ]


def test_a_job_of_a_lost_worker_is_queued_again_without_any_worker(
    house: House, caplog: pytest.LogCaptureFixture
):
    lease = house.claim()
    house.advance(61)

    house.keep()

    job = house.store.get(lease.job_id)
    assert (job.status, job.attempt) == ("queued", 1)
    assert logged(caplog) == [("took", lease.job_id)]
    assert caplog.records[0].__dict__["attempt"] == 1


def test_a_job_in_good_hands_is_left_alone(house: House, caplog: pytest.LogCaptureFixture):
    lease = house.claim()
    house.advance(59)

    house.keep(keep_finished_days=0, keep_finished_jobs=0, keep_epoch_checkpoints_days=0)

    assert house.store.get(lease.job_id).status == "running"
    assert logged(caplog) == []


def test_jobs_outlive_their_days_and_go_with_their_files(
    house: House, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    old = house.finished()
    house.advance(2 * DAY_S)
    young = house.finished()
    house.advance(1)

    house.keep(keep_finished_days=1)

    assert ids(house.store) == [young]
    assert not house.settings.job_folder(old).exists()
    assert house.settings.job_folder(young).is_dir()
    assert ("deleted", old) in logged(caplog)
    assert ("removed", old) in logged(caplog)


def test_only_so_many_finished_jobs_are_kept_and_those_of_aliases(house: House):
    first, second, third = (house.finished() for _ in range(3))
    house.store.set_alias("production", first)

    house.keep(keep_finished_jobs=1)

    assert ids(house.store) == [third, first]
    assert not house.settings.job_folder(second).exists()


def test_by_default_everything_stays(house: House):
    job_id = house.finished()
    house.advance(10_000 * DAY_S)

    house.keep()

    assert ids(house.store) == [job_id]
    assert house.settings.job_folder(job_id).is_dir()


def test_epochs_of_old_jobs_go(house: House, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    lease = house.claim()
    epoch, last = house.saved(lease, "epoch-1", 1), house.saved(lease, "last", 2)
    house.store.succeed(lease)
    house.advance(7 * DAY_S + 1)

    house.keep(keep_epoch_checkpoints_days=7)

    assert (epoch.exists(), last.exists()) == (False, True)
    assert [row.name for row in house.store.checkpoints(lease.job_id)] == ["last"]
    assert ("dropped", lease.job_id) in logged(caplog)


def test_what_a_killed_worker_left_of_a_failed_job_goes_after_a_while(house: House):
    lease = house.claim()
    unpublished = house.settings.attempt_folder(lease.job_id, lease.number) / "steps" / "00000001"
    unpublished.mkdir(parents=True)
    house.store.fail(lease, JobError("dataset_invalid", "no"))

    house.keep()
    soon = unpublished.exists()
    house.advance(601)
    house.keep()

    assert (soon, unpublished.exists()) == (True, False)


def test_a_deletion_that_a_crash_cut_short_is_finished(house: House):
    job_id = house.finished()
    house.store.delete(job_id)
    assert house.settings.job_folder(job_id).exists()

    house.keep()

    assert not house.settings.job_folder(job_id).exists()
    assert house.store.removals() == []


def test_two_processes_that_keep_house_at_once_do_it_once(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    lease = house.claim()
    old = house.finished()
    house.advance(2 * DAY_S)
    others = JobStore(house.engine, clock=lambda: house.now)
    due = others.outlived(keep_for=timedelta(days=1), keep_newest=None)

    house.keep(keep_finished_days=1)
    late = Housekeeping(others, house.settings, clock=lambda: house.now)
    monkeypatch.setattr(others, "outlived", answer(due))  # it had looked before
    late.keep_house()

    assert house.store.get(lease.job_id).attempt == 1
    events = house.store.events(lease.job_id).items
    told = [event.data["status"] for event in events if event.type == "status"]
    assert told == ["queued", "running", "queued"]
    assert old not in ids(house.store)


def test_an_alias_set_since_the_look_keeps_its_job(house: House, monkeypatch: pytest.MonkeyPatch):
    job_id = house.finished()
    house.store.set_alias("production", job_id)
    monkeypatch.setattr(house.store, "outlived", answer([job_id]))

    house.keep()

    assert ids(house.store) == [job_id]


def test_a_round_that_fails_is_logged_and_the_rest_is_done(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    job_id = house.finished()
    house.store.delete(job_id)
    monkeypatch.setattr(house.store, "outlived", failure(ZeroDivisionError()))

    house.keep()

    assert not house.settings.job_folder(job_id).exists()
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_a_database_that_is_away_is_one_warning(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    away = OperationalError("SELECT", None, sqlite3.OperationalError("away"))
    monkeypatch.setattr(house.store, "recover_expired", failure(away))

    house.keep()

    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_the_thread_goes_on_after_a_round_that_failed(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    tried: list[int] = []
    third = threading.Event()

    def recover() -> list[Job]:
        tried.append(len(tried))
        if len(tried) == 3:
            third.set()
        raise ZeroDivisionError

    monkeypatch.setattr(house.store, "recover_expired", recover)
    settings = settings_in(house.folder, housekeeping_seconds=0.001)

    with Housekeeping(house.store, settings):
        reached = third.wait(60)

    assert reached


def test_the_service_keeps_house(tmp_path: Path):
    with serving(settings_in(tmp_path, housekeeping_seconds=0.01)) as service:
        service.store.create(NewJob("pretrain", {}))
        claim = service.store.claim("worker-1", ["pretrain"], timedelta(0))
        assert claim is not None

        while service.store.get(claim.job.id).status == "running":
            time.sleep(0.01)

        assert service.store.get(claim.job.id).status == "queued"


# ---------------------------------------------------------------------------------- kept encoders


def aged(path: Path, seconds: float) -> Path:
    """The path, last changed so long ago."""
    then = datetime.now(UTC).timestamp() - seconds
    os.utime(path, (then, then))
    return path


def test_kept_encoders_go_once_no_job_needs_them(house: House, best_folder: Path):
    kept = keep_encoder(FoundEncoder(best_folder), house.settings.kept_encoders).info.sha256
    path = aged(house.settings.kept_encoders / kept, 7200)
    config = {"encoder": {"sha256": kept}, "encoders_beside": {}}
    job = house.store.create(NewJob("evaluate", config))

    house.keep()
    needed = path.is_dir()
    house.store.request_cancel(job.id)
    house.keep()

    assert (needed, path.exists()) == (True, False)


def test_an_encoder_of_a_job_that_is_being_submitted_stays(tmp_path: Path, best_folder: Path):
    folder = tmp_path / "encoders"
    kept = keep_encoder(FoundEncoder(best_folder), folder).info.sha256
    aged(folder / kept, 7200)

    keep_encoder(FoundEncoder(best_folder), folder)  # wanted anew
    removed = remove_unused_encoders(folder, set(), datetime.now(UTC))

    assert removed == []
    assert (folder / kept / "encoder.safetensors").is_file()


def test_left_over_copies_go_and_fresh_ones_stay(tmp_path: Path):
    folder = tmp_path / "encoders"
    for name in (".copy-old", ".unused-old", ".copy-fresh", "ab12"):
        (folder / name).mkdir(parents=True)
    for name in (".copy-old", ".unused-old", "ab12"):
        aged(folder / name, 7200)

    removed = remove_unused_encoders(folder, {"ab12"}, datetime.now(UTC))

    assert removed == [".copy-old", ".unused-old"]
    assert sorted(path.name for path in folder.iterdir()) == [".copy-fresh", "ab12"]


def test_no_encoder_is_removed_behind_a_link(tmp_path: Path):
    outside = tmp_path / "outside"
    (outside / "ours").mkdir(parents=True)
    (tmp_path / "encoders").symlink_to(outside)
    aged(outside / "ours", 7200)

    assert remove_unused_encoders(tmp_path / "encoders", set(), datetime.now(UTC)) == []
    assert (outside / "ours").is_dir()
