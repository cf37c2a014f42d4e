"""Counts, ages and speeds of a job table of known content."""

from datetime import timedelta

from job_clock import Clock
from sqlalchemy import Engine

from ppgssl.jobs.figures import JobGroup, Outcome, Speed, read_figures
from ppgssl.jobs.records import JobError, NewJob, Report
from ppgssl.jobs.store import JobStore

LEASE = timedelta(seconds=60)


def test_an_empty_table_has_no_figures(engine: Engine, clock: Clock):
    figures = read_figures(engine, clock())

    assert (figures.groups, figures.outcomes, figures.attempts, figures.speeds) == ([], [], {}, [])


def test_jobs_are_counted_by_kind_and_status_with_the_age_of_the_oldest(
    engine: Engine, store: JobStore, clock: Clock
):
    for kind in ("evaluate", "pretrain", "pretrain", "pretrain"):
        store.create(NewJob(kind, {}))
    store.claim("lost", ["pretrain"], LEASE)
    clock.advance(100)
    store.claim("busy", ["pretrain"], LEASE)

    figures = read_figures(engine, clock())

    assert figures.groups == [
        JobGroup("evaluate", "queued", 1, 100.0),
        JobGroup("pretrain", "queued", 1, 100.0),
        JobGroup("pretrain", "running", 1, 100.0),
        JobGroup("pretrain", "stalled", 1, 100.0),
    ]
    assert figures.attempts == {"evaluate": 0, "pretrain": 2}


def test_outcomes_are_counted_by_reason(engine: Engine, store: JobStore, clock: Clock):
    for error in (None, JobError("dataset_invalid", "no"), JobError("dataset_invalid", "no")):
        store.create(NewJob("pretrain", {}))
        claim = store.claim("worker", ["pretrain"], LEASE)
        assert claim is not None
        _ = store.fail(claim.lease, error) if error else store.succeed(claim.lease)

    figures = read_figures(engine, clock())

    assert figures.outcomes == [
        Outcome("pretrain", "failed", "dataset_invalid", 2),
        Outcome("pretrain", "succeeded", "none", 1),
    ]


def test_the_time_of_a_step_is_the_time_left_over_the_steps_left(
    engine: Engine, store: JobStore, clock: Clock
):
    job = store.create(NewJob("pretrain", {}))
    claim = store.claim("worker", ["pretrain"], LEASE)
    assert claim is not None
    progress = {"step": 10, "steps": 30, "eta_s": 5.0, "windows_per_s": 64.0}
    store.record(claim.lease, Report(progress=progress))

    figures = read_figures(engine, clock())

    assert figures.speeds == [Speed(job.id, "pretrain", 64.0, 0.25)]
