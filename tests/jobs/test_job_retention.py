"""Which jobs, checkpoints and files have outlived their use; what an alias points at never has."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from job_clock import Clock

from ppgssl.jobs.records import JobError, Lease, NewCheckpoint, NewJob, Report
from ppgssl.jobs.removal import finish_removals, tidy_attempts
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore

LEASE = timedelta(seconds=60)
DAY = timedelta(days=1)
EVALUATION = {"encoder": {"sha256": "aa"}, "encoders_beside": {"other": {"sha256": "bb"}}}


def claimed(store: JobStore, kind: str = "pretrain") -> Lease:
    store.create(NewJob(kind, {}))
    claim = store.claim("worker", [kind], LEASE)
    assert claim is not None
    return claim.lease


def save(store: JobStore, lease: Lease, *names: str, step: int) -> str:
    """Tell of a checkpoint of these names, and return its folder."""
    folder = f"jobs/{lease.job_id}/attempts/{lease.number:08d}/steps/{step:08d}"
    new = [NewCheckpoint(name, step, step, 0.5, folder, []) for name in names]
    store.record(lease, Report(checkpoints=new))
    return folder


def finished_daily(store: JobStore, clock: Clock, count: int) -> list[str]:
    """Ids of jobs that finished a day apart, the last one now."""
    ids: list[str] = []
    for _ in range(count):
        clock.advance(DAY.total_seconds())
        lease = claimed(store)
        save(store, lease, "best", step=1)
        ids.append(store.succeed(lease).id)
    return ids


def test_without_limits_nothing_goes(store: JobStore, clock: Clock):
    finished_daily(store, clock, 3)

    assert store.outlived(keep_for=None, keep_newest=None) == []


def test_jobs_go_by_age_oldest_first(store: JobStore, clock: Clock):
    first, second, *_ = finished_daily(store, clock, 4)  # 3, 2, 1 and 0 days ago

    assert store.outlived(keep_for=1.5 * DAY, keep_newest=None) == [first, second]
    assert store.outlived(keep_for=1.5 * DAY, keep_newest=None, limit=1) == [first]


@pytest.mark.parametrize(("keep", "gone"), [(0, 4), (1, 3), (3, 1), (4, 0), (9, 0)])
def test_jobs_go_by_number_oldest_first(store: JobStore, clock: Clock, keep: int, gone: int):
    ids = finished_daily(store, clock, 4)

    assert store.outlived(keep_for=None, keep_newest=keep) == ids[:gone]


def test_jobs_that_finished_at_once_go_in_the_order_of_their_creation(store: JobStore):
    ids = [store.succeed(claimed(store)).id for _ in range(3)]

    assert store.outlived(keep_for=None, keep_newest=1) == ids[:2]


def test_either_limit_is_enough_to_go(store: JobStore, clock: Clock):
    ids = finished_daily(store, clock, 4)

    assert store.outlived(keep_for=2.5 * DAY, keep_newest=2) == ids[:2]
    assert store.outlived(keep_for=0.5 * DAY, keep_newest=3) == ids[:3]


def test_a_job_with_an_alias_or_without_an_end_never_goes(store: JobStore, clock: Clock):
    first, second = finished_daily(store, clock, 2)
    store.set_alias("production", first)
    claimed(store)
    store.request_pause(store.create(NewJob("pretrain", {})).id)
    store.create(NewJob("pretrain", {}))
    clock.advance(9 * DAY.total_seconds())

    assert store.outlived(keep_for=DAY, keep_newest=0) == [second]


def test_epochs_go_and_best_and_last_stay(store: JobStore, clock: Clock, tmp_path: Path):
    lease = claimed(store)
    gone = save(store, lease, "epoch-1", step=1)
    shared = save(store, lease, "epoch-2", "best", step=2)
    last = save(store, lease, "last", step=3)
    for folder in (gone, shared, last):
        (tmp_path / folder).mkdir(parents=True)
    store.succeed(lease)
    clock.advance(DAY.total_seconds() + 1)

    old = store.with_old_epochs(DAY)
    dropped = store.drop_epochs(lease.job_id)
    finish_removals(store, tmp_path)

    assert old == [lease.job_id]
    assert dropped == ["epoch-1", "epoch-2"]
    assert [row.name for row in store.checkpoints(lease.job_id)] == ["best", "last"]
    assert [(tmp_path / folder).is_dir() for folder in (gone, shared, last)] == [False, True, True]
    assert store.with_old_epochs(DAY) == []


def test_epochs_of_younger_and_of_unfinished_jobs_stay(store: JobStore, clock: Clock):
    lease, unfinished = claimed(store), claimed(store)
    for held in (lease, unfinished):
        save(store, held, "epoch-1", step=1)
    store.succeed(lease)
    clock.advance(DAY.total_seconds() - 1)

    assert store.with_old_epochs(DAY) == []


def test_an_epoch_of_an_alias_stays(store: JobStore, clock: Clock):
    lease = claimed(store)
    for step in (1, 2):
        save(store, lease, f"epoch-{step}", step=step)
    store.succeed(lease)
    store.set_alias("early", lease.job_id, "epoch-1")

    assert store.with_old_epochs(-DAY) == [lease.job_id]
    assert store.drop_epochs(lease.job_id) == ["epoch-2"]
    assert store.with_old_epochs(-DAY) == []
    assert store.find_model("early").name == "epoch-1"


def test_what_runs_left_unpublished_is_removed_once(store: JobStore, clock: Clock, tmp_path: Path):
    settings = Settings(artifact_root=tmp_path)
    lease = claimed(store)
    kept = tmp_path / save(store, lease, "best", step=2)
    attempts = settings.attempts_folder(lease.job_id)
    unnamed, temporary = kept.parent / "00000003", kept.parent / ".00000004.77"
    scratch, superseded = kept.parents[1] / ".report-x", attempts / "00000001"
    for folder in (kept, unnamed, temporary, scratch, superseded / "steps" / "00000001"):
        folder.mkdir(parents=True)
    store.fail(lease, JobError("dataset_invalid", "no"))
    clock.advance(601)

    due = store.untidied(timedelta(seconds=600))
    removed = tidy_attempts(store, settings, lease.job_id)
    store.tidied(lease.job_id)

    assert due == [lease.job_id]
    assert set(removed) == {unnamed, temporary, scratch, superseded}
    assert kept.is_dir()
    assert not any(path.exists() for path in removed)
    assert store.untidied(timedelta(seconds=600)) == []


@pytest.mark.parametrize(
    ("kind", "place"), [("evaluate", Settings.report_folder), ("embed", Settings.embeddings_folder)]
)
def test_the_results_of_the_last_claim_stay(
    store: JobStore, tmp_path: Path, kind: str, place: Callable[[Settings, str, int], Path]
):
    settings = Settings(artifact_root=tmp_path)
    lease = claimed(store, kind)
    result = place(settings, lease.job_id, lease.number)
    earlier = settings.attempt_folder(lease.job_id, lease.number - 1)
    parts = result.with_name(".parts")
    for folder in (result, parts, earlier):
        folder.mkdir(parents=True)
    store.succeed(lease)

    removed = tidy_attempts(store, settings, lease.job_id)

    assert set(removed) == {earlier, parts}
    assert result.is_dir()


def test_a_worker_has_time_to_tidy_up_behind_itself(store: JobStore, clock: Clock):
    lease = claimed(store)
    store.succeed(lease)
    clock.advance(599)

    assert store.untidied(timedelta(seconds=600)) == []


@pytest.mark.parametrize("kind", ["evaluate", "embed"])
def test_encoders_are_in_use_until_their_jobs_have_ended(store: JobStore, kind: str):
    store.create(NewJob(kind, EVALUATION))
    store.create(NewJob("pretrain", EVALUATION))
    before = store.encoders_in_use()

    claim = store.claim("worker", [kind], LEASE)
    assert claim is not None
    running = store.encoders_in_use()
    store.succeed(claim.lease)

    assert before == running == {"aa", "bb"}
    assert store.encoders_in_use() == set()
