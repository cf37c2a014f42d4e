"""Counts and ages of a job table of known content."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from job_clock import Clock
from sqlalchemy import Engine, event

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.figures import JobGroup, Outcome, RunningJob, read_figures
from ppgssl.jobs.records import JobError, NewJob, Report
from ppgssl.jobs.store import JobStore

LEASE = timedelta(seconds=60)


def test_an_empty_table_has_no_figures(engine: Engine, clock: Clock):
    figures = read_figures(engine, clock())

    assert (figures.groups, figures.outcomes, figures.attempts, figures.running) == ([], [], {}, [])


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
    progress |= {"device_memory_bytes": 2**30, "device_utilisation": 0.75}
    store.record(claim.lease, Report(progress=progress))

    figures = read_figures(engine, clock())

    assert figures.running == [RunningJob(job.id, "pretrain", 64.0, 0.25, 2**30, 0.75)]


def test_shares_of_a_stage_are_no_steps(engine: Engine, store: JobStore, clock: Clock):
    job = store.create(NewJob("embed", {}))
    claim = store.claim("worker", ["embed"], LEASE)
    assert claim is not None
    progress = {"step": 10, "steps": 30, "eta_s": 5.0, "windows_per_s": 64.0, "stage": "embedding"}
    store.record(claim.lease, Report(progress=progress))

    figures = read_figures(engine, clock())

    assert figures.running == [RunningJob(job.id, "embed", 64.0, None, None, None)]


def test_finished_jobs_are_counted_without_an_age(engine: Engine, store: JobStore, clock: Clock):
    for _ in range(2):
        store.request_cancel(store.create(NewJob("pretrain", {})).id)
    clock.advance(100)

    figures = read_figures(engine, clock())

    assert figures.groups == [JobGroup("pretrain", "cancelled", 2, None)]
    assert figures.outcomes == [Outcome("pretrain", "cancelled", "none", 2)]


def test_no_figure_reads_every_row_of_the_table(tmp_path: Path, clock: Clock):
    engine = open_database(f"sqlite:///{tmp_path}/jobs.sqlite")
    migrate(engine)
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    read_figures(engine, clock())
    event.remove(engine, "before_cursor_execute", note)

    with engine.connect() as connection:
        plans = [
            row[3]
            for statement, parameters in asked
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    engine.dispose()
    read = sorted(plan for plan in plans if plan.startswith(("SCAN", "SEARCH")))
    assert read == [
        "SCAN jobs USING COVERING INDEX ix_jobs_kind_status_attempt",
        "SEARCH jobs USING INDEX ix_jobs_status_priority_seq (status=?)",
        "SEARCH jobs USING INDEX ix_jobs_status_priority_seq (status=?)",
        "SEARCH jobs USING INDEX ix_jobs_status_priority_seq (status=?)",
    ]
