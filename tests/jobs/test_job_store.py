"""Every query of the job store, on both databases."""

from datetime import timedelta

import pytest
from job_clock import Clock

from ppgssl.jobs.errors import (
    CheckpointNotFoundError,
    IdempotencyError,
    JobNotFoundError,
    JobStateError,
    LeaseLostError,
    ModelNotFoundError,
)
from ppgssl.jobs.records import (
    CheckpointFile,
    Claim,
    JobError,
    JobFilter,
    LossPoint,
    NewCheckpoint,
    NewJob,
    Report,
)
from ppgssl.jobs.status import STALLED, Action, EventType, JobStatus
from ppgssl.jobs.store import JobStore

LEASE = timedelta(seconds=60)
LOST = JobError("process_died", "the training process was killed")


def new_job(**changes: object) -> NewJob:
    return NewJob(**{"kind": "pretrain", "config": {"seed": 1}, "dataset": "bidmc", **changes})


def claim(store: JobStore, worker_id: str = "worker-1") -> Claim:
    claimed = store.claim(worker_id, ["pretrain"], LEASE)
    assert claimed is not None
    return claimed


def train_points(*steps: int, total: float = 1.0) -> list[LossPoint]:
    return [LossPoint(step, 1, "train", {"total": total / step}) for step in steps]


def best_checkpoint(step: int = 10) -> NewCheckpoint:
    files = [CheckpointFile("z", "bb", 2), CheckpointFile("encoder.safetensors", "aa", 1)]
    return NewCheckpoint("best", step, 1, 0.25, f"jobs/x/steps/{step}", files)


# ---------------------------------------------------------------------------------- creation


def test_a_new_job_waits_with_everything_that_was_asked_for(store: JobStore, clock: Clock):
    created = store.create(new_job(name="first", metadata={"who": "me"}, priority=3))

    job = store.get(created.id)
    assert (job.status, job.attempt, job.progress, job.error) == (JobStatus.QUEUED, 0, None, None)
    assert (job.name, job.user_metadata, job.priority) == ("first", {"who": "me"}, 3)
    assert job.created_at == clock.now


def test_the_same_key_and_request_give_the_same_job(store: JobStore):
    first = store.create(new_job(), idempotency_key="k")

    again = store.create(new_job(), idempotency_key="k")

    assert again.id == first.id
    assert len(store.jobs().items) == 1


def test_the_same_key_with_another_request_is_refused(store: JobStore):
    store.create(new_job(), idempotency_key="k")

    with pytest.raises(IdempotencyError, match="'k' belongs to job job_"):
        store.create(new_job(config={"seed": 2}), idempotency_key="k")


def test_jobs_without_a_key_are_never_taken_for_each_other(store: JobStore):
    assert store.create(new_job()).id != store.create(new_job()).id


def test_an_unknown_id_is_not_found(store: JobStore):
    with pytest.raises(JobNotFoundError, match="no job has the id 'job_none'"):
        store.get("job_none")


# ----------------------------------------------------------------------------------- listing


def test_pages_go_from_the_newest_job_to_the_oldest_without_gap_or_repeat(store: JobStore):
    created = [store.create(new_job()).id for _ in range(5)]

    first = store.jobs(limit=2)
    second = store.jobs(limit=2, after=first.items[-1].id)
    third = store.jobs(limit=2, after=second.items[-1].id)

    ids = [job.id for page in (first, second, third) for job in page.items]
    assert ids == created[::-1]
    assert [page.has_more for page in (first, second, third)] == [True, True, False]


def test_filters_apply_together(store: JobStore):
    wanted = store.create(new_job(dataset="stress"))
    store.create(new_job(dataset="bidmc"))
    store.create(new_job(dataset="stress", kind="other"))

    page = store.jobs(JobFilter(status="queued", kind="pretrain", dataset="stress"))

    assert [job.id for job in page.items] == [wanted.id]


def test_a_running_job_whose_lease_ran_out_is_listed_as_stalled(store: JobStore, clock: Clock):
    stalled = store.create(new_job())
    claim(store)
    clock.advance(61)
    running = store.create(new_job())
    claim(store)

    assert [job.id for job in store.jobs(JobFilter(status=STALLED)).items] == [stalled.id]
    assert [job.id for job in store.jobs(JobFilter(status="running")).items] == [running.id]
    assert store.get(stalled.id).shown_status(clock.now) == "stalled"


# ------------------------------------------------------------------------------------ claims


def test_higher_priority_goes_first_and_first_in_first_out_within_it(store: JobStore):
    late, early, urgent = (store.create(new_job(priority=priority)) for priority in (0, 0, 5))

    order = [claim(store).job.id for _ in range(3)]

    assert order == [urgent.id, late.id, early.id]


def test_a_worker_is_given_only_the_kinds_it_knows(store: JobStore):
    store.create(new_job(kind="other"))

    assert store.claim("worker-1", ["pretrain"], LEASE) is None


def test_a_claim_starts_the_first_attempt(store: JobStore, clock: Clock):
    created = store.create(new_job())
    clock.advance(5)

    claimed = claim(store)

    job = store.get(created.id)
    assert claimed.lease.attempt == job.attempt == 1
    assert (job.status, job.worker_id) == (JobStatus.RUNNING, "worker-1")
    assert job.started_at == clock.now
    assert job.lease_expires_at == clock.now + LEASE


def test_a_renewed_lease_outlives_its_first_end(store: JobStore, clock: Clock):
    store.create(new_job())
    lease = claim(store).lease
    clock.advance(59)

    store.renew_lease(lease, LEASE)
    clock.advance(59)

    assert store.recover_expired() == []


def test_an_expired_job_goes_to_another_worker_as_the_next_attempt(store: JobStore, clock: Clock):
    created = store.create(new_job())
    claim(store, "worker-1")
    clock.advance(61)

    recovered = store.recover_expired()
    second = claim(store, "worker-2")

    assert [job.id for job in recovered] == [created.id]
    assert second.lease.attempt == 2
    assert "worker-1 was not heard of" in store.get(created.id).warnings[0]


def test_a_job_whose_attempts_are_used_up_fails_as_worker_lost(store: JobStore, clock: Clock):
    created = store.create(new_job(max_attempts=1))
    claim(store)
    clock.advance(61)

    store.recover_expired()

    job = store.get(created.id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error["code"] == "worker_lost"


def test_nothing_is_accepted_from_a_worker_that_lost_its_job(store: JobStore, clock: Clock):
    created = store.create(new_job())
    old = claim(store, "worker-1").lease
    clock.advance(61)
    store.recover_expired()
    new = claim(store, "worker-2").lease

    for write in (
        lambda: store.renew_lease(old, LEASE),
        lambda: store.record(old, Report(points=train_points(1))),
        lambda: store.succeed(old),
        lambda: store.fail(old, LOST),
        lambda: store.hand_back(old, "stopped"),
    ):
        with pytest.raises(LeaseLostError, match="no longer held by worker-1"):
            write()
    assert store.losses(created.id) == []
    store.renew_lease(new, LEASE)


def test_a_finished_job_takes_no_more_writes(store: JobStore):
    store.create(new_job())
    lease = claim(store).lease
    store.succeed(lease)

    with pytest.raises(LeaseLostError):
        store.record(lease, Report(warnings=["too late"]))


# ------------------------------------------------------------------- cancel, pause and resume


@pytest.mark.parametrize("paused_first", [False, True])
def test_a_waiting_job_is_cancelled_at_once_and_again_without_harm(
    store: JobStore, paused_first: bool
):
    job_id = store.create(new_job()).id
    if paused_first:
        store.request_pause(job_id)

    store.request_cancel(job_id)
    store.request_cancel(job_id)

    assert store.get(job_id).status is JobStatus.CANCELLED
    assert store.claim("worker-1", ["pretrain"], LEASE) is None


def test_a_running_job_is_cancelled_by_its_worker(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease

    requested = store.request_cancel(job_id)
    told = store.record(lease, Report())
    done = store.hand_back(lease, "stopped")

    assert requested.status is JobStatus.RUNNING
    assert told is Action.CANCEL
    assert (done.status, done.requested_action) == (JobStatus.CANCELLED, None)


def test_a_stalled_job_is_cancelled_without_its_worker(store: JobStore, clock: Clock):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    clock.advance(61)

    job = store.request_cancel(job_id)

    assert job.status is JobStatus.CANCELLED
    with pytest.raises(LeaseLostError):
        store.record(lease, Report())


def test_a_paused_job_resumes_in_the_same_attempt(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease

    store.request_pause(job_id)
    store.request_pause(job_id)
    paused = store.hand_back(lease, "stopped")
    resumed = store.request_resume(job_id)
    second = claim(store)

    assert (paused.status, resumed.status) == (JobStatus.PAUSED, JobStatus.QUEUED)
    assert second.lease.attempt == 1
    assert second.lease.token != lease.token


def test_a_paused_job_is_not_claimed(store: JobStore):
    store.request_pause(store.create(new_job()).id)

    assert store.claim("worker-1", ["pretrain"], LEASE) is None


def test_a_resume_withdraws_a_pause_that_was_not_done_yet(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    store.request_pause(job_id)

    store.request_resume(job_id)

    assert store.record(lease, Report()) is None


def test_a_pause_becomes_a_cancel_but_never_the_other_way(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    store.request_pause(job_id)
    store.request_cancel(job_id)

    for request in (store.request_pause, store.request_resume):
        with pytest.raises(JobStateError, match="is being cancelled"):
            request(job_id)
    assert store.record(lease, Report()) is Action.CANCEL


@pytest.mark.parametrize("request_name", ["request_cancel", "request_pause", "request_resume"])
def test_a_job_that_succeeded_refuses_every_request(store: JobStore, request_name: str):
    job_id = store.create(new_job()).id
    store.succeed(claim(store).lease)

    with pytest.raises(JobStateError, match="succeeded") as refused:
        getattr(store, request_name)(job_id)

    assert refused.value.status is JobStatus.SUCCEEDED


def test_resuming_a_queued_or_running_job_changes_nothing(store: JobStore):
    job_id = store.create(new_job()).id

    queued = store.request_resume(job_id)
    claim(store)
    running = store.request_resume(job_id)

    assert (queued.status, running.status) == (JobStatus.QUEUED, JobStatus.RUNNING)


# ------------------------------------------------------------------------------------- endings


def test_a_run_that_died_is_tried_again_until_its_attempts_are_used_up(store: JobStore):
    job_id = store.create(new_job(max_attempts=2)).id

    first = store.fail(claim(store).lease, LOST)
    second = store.fail(claim(store).lease, LOST)

    assert (first.status, first.error) == (JobStatus.QUEUED, None)
    assert "attempt 1 of 2 ended (process_died)" in store.get(job_id).warnings[0]
    assert second.status is JobStatus.FAILED
    assert second.error == {"code": LOST.code, "message": LOST.message}


def test_what_a_retry_cannot_mend_is_not_tried_again(store: JobStore):
    store.create(new_job())

    job = store.fail(claim(store).lease, JobError("dataset_invalid", "no such dataset"))

    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)


def test_a_job_that_dies_while_it_is_cancelled_is_cancelled(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    store.request_cancel(job_id)

    assert store.fail(lease, LOST).status is JobStatus.CANCELLED


def test_a_job_handed_back_is_queued_at_once_in_the_same_attempt(store: JobStore):
    store.create(new_job(max_attempts=1))

    handed_back = store.hand_back(claim(store).lease, "worker told to stop")

    assert handed_back.status is JobStatus.QUEUED
    assert claim(store).lease.attempt == 1


def test_time_spent_running_adds_up_over_claims(store: JobStore, clock: Clock):
    store.create(new_job())
    lease = claim(store).lease
    clock.advance(10)
    store.hand_back(lease, "stopped")
    clock.advance(100)  # waiting does not count
    lease = claim(store).lease
    clock.advance(5)

    job = store.succeed(lease)

    assert job.ran_s == 15.0
    assert job.finished_at == clock.now


# ------------------------------------------------------------------------------------- history


def test_losses_come_back_by_step_and_split(store: JobStore):
    job_id = store.create(new_job()).id
    val = LossPoint(2, 1, "val", {"total": 0.5, "effective_rank": 3.0})
    store.record(claim(store).lease, Report(points=[*train_points(1, 2, 3), val]))

    everything = store.losses(job_id)
    news = store.losses(job_id, after_step=1, split="train")

    assert [(row.step, row.split) for row in everything] == [
        (1, "train"), (2, "train"), (2, "val"), (3, "train"),
    ]  # fmt: skip
    assert everything[2].values == {"total": 0.5, "effective_rank": 3.0}
    assert [row.step for row in news] == [2, 3]


def test_going_over_old_ground_neither_rewrites_nor_repeats_history(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    store.record(lease, Report(points=train_points(1, 2, 3, total=1.0)))

    store.record(lease, Report(points=train_points(2, 3, 4, 4, total=9.0)))

    assert [(row.step, row.total) for row in store.losses(job_id)] == [
        (1, 1.0), (2, 0.5), (3, 1 / 3), (4, 9 / 4),
    ]  # fmt: skip
    told = [event for event in store.events(job_id).items if event.type is EventType.LOSSES]
    assert [point["step"] for event in told for point in event.data["points"]] == [1, 2, 3, 4]


def test_a_value_that_is_not_finite_is_stored_as_nothing(store: JobStore):
    job_id = store.create(new_job()).id
    point = LossPoint(1, 1, "train", {"total": float("nan"), "grad_norm": float("inf")})
    store.record(claim(store).lease, Report(points=[point]))

    (row,) = store.losses(job_id)

    assert row.total is None
    assert row.values == {"total": None, "grad_norm": None}


def test_a_thinned_history_keeps_its_spike_its_ends_and_the_short_curve(store: JobStore):
    job_id = store.create(new_job()).id
    spike = LossPoint(700, 1, "train", {"total": 99.0})
    points = [*train_points(*range(1, 700)), spike, *train_points(*range(701, 1001))]
    vals = [LossPoint(step, 1, "val", {"total": 0.5}) for step in (500, 1000)]
    store.record(claim(store).lease, Report(points=[*points, *vals]))

    thinned = store.losses(job_id, max_points=20)

    assert len(thinned) <= 20
    assert {1, 700, 1000} <= {row.step for row in thinned if row.split == "train"}
    assert [row.step for row in thinned if row.split == "val"] == [500, 1000]
    assert thinned == sorted(thinned, key=lambda row: (row.step, row.split))


def test_events_are_numbered_without_gaps_and_replayed_from_any_of_them(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    store.record(lease, Report(points=train_points(1), progress={"step": 1}, warnings=["hm"]))
    store.succeed(lease)

    events = store.events(job_id).items
    tail = store.events(job_id, after=4, limit=1)

    assert [event.id for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.type.value for event in events] == [
        "status", "status", "losses", "warning", "progress", "status",
    ]  # fmt: skip
    assert [event.data["status"] for event in events if event.type is EventType.STATUS] == [
        "queued", "running", "succeeded",
    ]  # fmt: skip
    assert [event.is_terminal for event in events] == [False] * 5 + [True]
    assert ([event.id for event in tail.items], tail.has_more) == ([5], True)


def test_a_repeated_warning_is_kept_once(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease

    store.record(lease, Report(warnings=["collapse", "no val split"]))
    store.record(lease, Report(warnings=["collapse"]))

    assert store.get(job_id).warnings == ["collapse", "no val split"]


def test_log_lines_are_paged_in_the_order_they_were_written(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    store.record(lease, Report(log_lines=["one", "two"]))
    store.record(lease, Report(log_lines=["three"]))

    first = store.log_lines(job_id, limit=2)
    rest = store.log_lines(job_id, after=first.items[-1].line)

    assert [line.text for line in first.items] == ["one", "two"]
    assert [(line.line, line.text) for line in rest.items] == [(3, "three")]


def test_a_report_that_is_recorded_again_changes_nothing(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    report = Report(
        points=train_points(1, 2),
        progress={"step": 2},
        checkpoints=[best_checkpoint(step=1), best_checkpoint(step=2)],
        warnings=["hm"],
        log_lines=["the same", "the same"],
        lines_before=0,
    )
    store.record(lease, report)
    before = store.get(job_id)

    store.record(lease, report)

    after = store.get(job_id)
    assert (after.last_event, after.last_line) == (before.last_event, before.last_line) == (7, 2)
    assert store.checkpoint(job_id, "best").step == 2


def test_lines_that_follow_those_already_there_are_added(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease
    store.record(lease, Report(log_lines=["one", "two"], lines_before=0))

    store.record(lease, Report(log_lines=["one"], lines_before=2))

    assert [line.text for line in store.log_lines(job_id).items] == ["one", "two", "one"]


def test_the_best_checkpoint_becomes_the_jobs_best_and_can_embed(store: JobStore):
    job_id = store.create(new_job()).id
    lease = claim(store).lease

    store.record(lease, Report(checkpoints=[best_checkpoint(step=10)]))
    store.record(lease, Report(checkpoints=[best_checkpoint(step=20)]))

    (checkpoint,) = store.checkpoints(job_id)
    assert store.get(job_id).best == {"step": 20, "epoch": 1, "val_loss": 0.25}
    assert checkpoint.folder == "jobs/x/steps/20"
    assert checkpoint.files[0] == {"name": "encoder.safetensors", "sha256": "aa", "size": 1}
    assert [model.job.id for model in store.models().items] == [job_id]
    assert store.find_model(job_id).step == 20


def test_a_checkpoint_that_is_not_there_is_named_with_those_that_are(store: JobStore):
    job_id = store.create(new_job()).id
    store.record(claim(store).lease, Report(checkpoints=[best_checkpoint()]))

    with pytest.raises(CheckpointNotFoundError, match="no checkpoint 'last'; it has best"):
        store.checkpoint(job_id, "last")


def test_an_alias_moves_from_one_job_to_another(store: JobStore):
    first, second = store.create(new_job()).id, store.create(new_job()).id
    for _ in (first, second):
        store.record(claim(store).lease, Report(checkpoints=[best_checkpoint()]))

    store.set_alias("production", first)
    store.set_alias("production", second)

    assert [(row.alias, row.job_id) for row in store.aliases()] == [("production", second)]
    assert store.find_model("production").job_id == second


def test_an_alias_needs_a_checkpoint_and_a_model_a_name(store: JobStore):
    job_id = store.create(new_job()).id

    with pytest.raises(CheckpointNotFoundError, match="has no checkpoint 'best'; it has none yet"):
        store.set_alias("production", job_id)
    with pytest.raises(ModelNotFoundError, match="no model is called 'production'"):
        store.find_model("production")


def test_the_database_answers(store: JobStore):
    store.ping()
