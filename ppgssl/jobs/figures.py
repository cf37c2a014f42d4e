"""The job table in numbers, for metrics: read by queries of its own, and never written.

Every figure comes from the table and none from a process's memory, so that each of several APIs
on one database tells the same, and a worker needs no port to be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, case, func, select
from sqlalchemy.orm import Session

from ppgssl.jobs.status import STALLED, JobStatus
from ppgssl.jobs.tables import Job

NO_ERROR = "none"


@dataclass(frozen=True, slots=True)
class JobGroup:
    """Jobs of one kind and status as shown; `oldest_s`: seconds since the first was queued."""

    kind: str
    status: str
    jobs: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Finished jobs of one kind, status and error code; `none` where there was no error."""

    kind: str
    status: str
    reason: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a running job is, as its worker last told; None before it told."""

    job_id: str
    kind: str
    windows_per_s: float | None
    step_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All of them, as of one moment."""

    groups: Sequence[JobGroup]
    outcomes: Sequence[Outcome]
    attempts: dict[str, int]
    """Attempts begun by the jobs of a kind."""
    speeds: Sequence[Speed]


def read_figures(engine: Engine, now: datetime) -> Figures:
    """Count in one transaction; `now` is what leases and ages are held against."""
    with Session(engine.execution_options(only_reads=True)) as session:
        return Figures(
            groups=_groups(session, now),
            outcomes=_outcomes(session),
            attempts=_attempts(session),
            speeds=_speeds(session, now),
        )


def _groups(session: Session, now: datetime) -> list[JobGroup]:
    stalled = (Job.status == JobStatus.RUNNING) & (Job.lease_expires_at < now)
    is_stalled = case((stalled, 1), else_=0)
    rows = session.execute(
        select(Job.kind, Job.status, is_stalled, func.count(), func.min(Job.queued_at))
        .group_by(Job.kind, Job.status, is_stalled)
        .order_by(Job.kind, Job.status, is_stalled)
    )
    return [
        JobGroup(kind, STALLED if late else status.value, count, (now - oldest).total_seconds())
        for kind, status, late, count, oldest in rows
    ]


def _outcomes(session: Session) -> list[Outcome]:
    code = Job.error["code"].as_string().label("code")
    finished = [status for status in JobStatus if status.is_finished]
    found = (
        select(Job.kind, Job.status, code).where(Job.status.in_(finished)).subquery()
    )  # PostgreSQL takes a JSON path in SELECT and in GROUP BY for two expressions
    columns = (found.c.kind, found.c.status, found.c.code)
    rows = session.execute(select(*columns, func.count()).group_by(*columns).order_by(*columns))
    return [
        Outcome(kind, status.value, reason or NO_ERROR, count)
        for kind, status, reason, count in rows
    ]


def _attempts(session: Session) -> dict[str, int]:
    rows = session.execute(select(Job.kind, func.sum(Job.attempt)).group_by(Job.kind))
    return {kind: int(attempts) for kind, attempts in rows}


def _speeds(session: Session, now: datetime) -> list[Speed]:
    running = select(Job.id, Job.kind, Job.progress).where(
        Job.status == JobStatus.RUNNING, Job.lease_expires_at >= now
    )
    return [
        Speed(job_id, kind, (progress or {}).get("windows_per_s"), _step_seconds(progress or {}))
        for job_id, kind, progress in session.execute(running.order_by(Job.seq))
    ]


def _step_seconds(progress: dict[str, float | None]) -> float | None:
    """The time left, shared out over the steps left."""
    eta_s, steps_left = (
        progress.get("eta_s"),
        (progress.get("steps") or 0) - (progress.get("step") or 0),
    )
    return eta_s / steps_left if eta_s is not None and steps_left > 0 else None
