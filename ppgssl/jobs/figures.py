"""The job table in numbers, for metrics: read by queries of its own, and never written.

They are asked for every few seconds, however many jobs there are: all jobs are counted in an index
that holds nothing else, and only rows of unfinished and of failed ones are read.

Every figure comes from the table and none from a process's memory, so that each of several APIs
on one database tells the same, and a worker needs no port to be seen.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, case, func, select
from sqlalchemy.orm import Session

from ppgssl.jobs.queries.pace import step_seconds
from ppgssl.jobs.status import STALLED, JobStatus
from ppgssl.jobs.tables import Job

NO_ERROR = "none"
UNFINISHED = [status for status in JobStatus if not status.is_finished]


@dataclass(frozen=True, slots=True)
class JobGroup:
    """Jobs of one kind and status as shown; `oldest_s`: seconds since the first was queued.

    The age is of unfinished jobs only.
    """

    kind: str
    status: str
    jobs: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Finished jobs of one kind, status and error code; `none` where there was no error."""

    kind: str
    status: str
    reason: str
    jobs: int


@dataclass(frozen=True, slots=True)
class RunningJob:
    """How a running job gets on, as its worker last told; None is what it did not tell."""

    job_id: str
    kind: str
    windows_per_s: float | None
    step_s: float | None
    device_memory_bytes: int | None = None
    device_utilisation: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All of them, as of one moment."""

    groups: Sequence[JobGroup]
    outcomes: Sequence[Outcome]
    attempts: dict[str, int]
    """Attempts begun by the jobs of a kind."""
    running: Sequence[RunningJob]


def read_figures(engine: Engine, now: datetime) -> Figures:
    """Count in one transaction; `now` is what leases and ages are held against."""
    with Session(engine.execution_options(only_reads=True)) as session:
        counts = _counts(session)
        ended = [count for count in counts if count.status.is_finished]
        return Figures(
            groups=sorted(
                [*_waiting(session, now), *(_ended(count) for count in ended)],
                key=lambda group: (group.kind, group.status),
            ),
            outcomes=sorted(
                [
                    *_failures(session),
                    *(_outcome(count) for count in ended if not count.has_failed),
                ],
                key=lambda outcome: (outcome.kind, outcome.status, outcome.reason),
            ),
            attempts=_attempts(counts),
            running=_running(session, now),
        )


@dataclass(frozen=True, slots=True)
class _Count:
    """Jobs of one kind and stored status, and the attempts they began."""

    kind: str
    status: JobStatus
    jobs: int
    attempts: int

    @property
    def has_failed(self) -> bool:
        return self.status is JobStatus.FAILED


def _counts(session: Session) -> list[_Count]:
    columns = (Job.kind, Job.status)
    rows = session.execute(
        select(*columns, func.count(), func.sum(Job.attempt)).group_by(*columns).order_by(*columns)
    )
    return [_Count(kind, status, jobs, int(attempts)) for kind, status, jobs, attempts in rows]


def _waiting(session: Session, now: datetime) -> list[JobGroup]:
    stalled = (Job.status == JobStatus.RUNNING) & (Job.lease_expires_at < now)
    is_stalled = case((stalled, 1), else_=0)
    rows = session.execute(
        select(Job.kind, Job.status, is_stalled, func.count(), func.min(Job.queued_at))
        .where(Job.status.in_(UNFINISHED))
        .group_by(Job.kind, Job.status, is_stalled)
    )
    return [
        JobGroup(kind, STALLED if late else status.value, count, (now - oldest).total_seconds())
        for kind, status, late, count, oldest in rows
    ]


def _ended(count: _Count) -> JobGroup:
    return JobGroup(count.kind, count.status.value, count.jobs, None)


def _outcome(count: _Count) -> Outcome:
    return Outcome(count.kind, count.status.value, NO_ERROR, count.jobs)


def _failures(session: Session) -> list[Outcome]:
    code = Job.error["code"].as_string().label("code")
    failed = (
        select(Job.kind, code).where(Job.status == JobStatus.FAILED).subquery()
    )  # PostgreSQL takes a JSON path in SELECT and in GROUP BY for two expressions
    columns = (failed.c.kind, failed.c.code)
    rows = session.execute(select(*columns, func.count()).group_by(*columns))
    failed_as = JobStatus.FAILED.value
    return [Outcome(kind, failed_as, reason or NO_ERROR, jobs) for kind, reason, jobs in rows]


def _attempts(counts: Sequence[_Count]) -> dict[str, int]:
    attempts: Counter[str] = Counter()
    for count in counts:
        attempts[count.kind] += count.attempts
    return dict(attempts)


def _running(session: Session, now: datetime) -> list[RunningJob]:
    rows = select(Job.id, Job.kind, Job.progress).where(
        Job.status == JobStatus.RUNNING, Job.lease_expires_at >= now
    )
    return [
        _as_told(job_id, kind, progress or {})
        for job_id, kind, progress in session.execute(rows.order_by(Job.seq))
    ]


def _as_told(job_id: str, kind: str, progress: dict[str, Any]) -> RunningJob:
    return RunningJob(
        job_id,
        kind,
        progress.get("windows_per_s"),
        step_seconds(progress),
        progress.get("device_memory_bytes"),
        progress.get("device_utilisation"),
    )
