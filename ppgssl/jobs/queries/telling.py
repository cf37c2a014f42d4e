"""What happens to a job, written down: events, losses, log lines, checkpoints, warnings.

Every function belongs to a transaction that holds the job's row: the numbers of its events and log
lines are counted in that row.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ppgssl.jobs.queries.loss_blocks import add_to_blocks
from ppgssl.jobs.queries.outbox import tell_endpoints
from ppgssl.jobs.queries.pace import add_pace
from ppgssl.jobs.records import LossPoint, NewCheckpoint, Report
from ppgssl.jobs.status import EventType
from ppgssl.jobs.tables import Checkpoint, Event, Job, LogLine, Loss

BEST = "best"


def tell(
    session: Session, job: Job, event_type: EventType, data: dict[str, Any], now: datetime
) -> None:
    """Add an event for those who watch the job."""
    job.last_event += 1
    session.add(
        Event(job_seq=job.seq, id=job.last_event, type=event_type, created_at=now, data=data)
    )


def tell_status(session: Session, job: Job, now: datetime, reason: str | None = None) -> None:
    """Tell the status that the job has now, and why: those who watch, and the webhooks."""
    data = {
        "status": job.status.value,
        "attempt": job.attempt,
        "reason": reason,
        "error": job.error,
    }
    tell(session, job, EventType.STATUS, data, now)
    tell_endpoints(session, job, now)


def add_log_lines(session: Session, job: Job, report: Report, now: datetime) -> None:
    """Number the report's lines and keep those that are not there yet."""
    known = 0 if report.lines_before is None else job.last_line - report.lines_before
    rows = [
        {
            "job_seq": job.seq,
            "line": number,
            "attempt": job.attempt,
            "created_at": now,
            "text": line,
        }
        for number, line in enumerate(report.log_lines[known:], start=job.last_line + 1)
    ]
    if rows:
        session.execute(insert(LogLine), rows)
    job.last_line += len(rows)


def add_points(session: Session, job: Job, points: Sequence[LossPoint], now: datetime) -> None:
    """Add those points whose step and split the history does not have yet."""
    fresh = _without_known(session, job, points)
    if not fresh:
        return
    told = [asdict(point) for point in fresh]
    rows = [{**point, "job_seq": job.seq, "total": point["values"].get("total")} for point in told]
    session.execute(insert(Loss), rows)
    add_to_blocks(session, job.seq, fresh)
    tell(session, job, EventType.LOSSES, {"points": told}, now)


def add_checkpoint(session: Session, job: Job, new: NewCheckpoint, now: datetime) -> None:
    """Let the checkpoint's name mean this one; a `best` is the job's best from now on."""
    if _is_published(session.get(Checkpoint, (job.seq, new.name)), new):
        return
    row = Checkpoint(
        job_seq=job.seq,
        name=new.name,
        job_id=job.id,
        attempt=job.attempt,
        step=new.step,
        epoch=new.epoch,
        val_loss=_finite(new.val_loss),
        folder=new.folder,
        files=[asdict(file) for file in sorted(new.files, key=lambda file: file.name)],
        created_at=now,
    )
    session.merge(row)
    figures = {"step": new.step, "epoch": new.epoch, "val_loss": _finite(new.val_loss)}
    if new.name == BEST:
        job.best = figures
    tell(session, job, EventType.CHECKPOINT, {"name": new.name, **figures}, now)


def add_progress(session: Session, job: Job, progress: dict[str, Any], now: datetime) -> None:
    """Tell where the run is, if it has moved."""
    if progress != job.progress:
        job.progress = progress
        add_pace(session, job, progress, now)
        tell(session, job, EventType.PROGRESS, progress, now)


def add_warning(session: Session, job: Job, message: str, now: datetime) -> None:
    """Warn once: a resumed run warns of the same things again."""
    if message not in job.warnings:
        job.warnings = [*job.warnings, message]
        tell(session, job, EventType.WARNING, {"message": message}, now)


def _is_published(known: Checkpoint | None, new: NewCheckpoint) -> bool:
    """Whether the name's checkpoint is this one, or a later one of the same run."""
    if known is None or PurePosixPath(known.folder).parent != PurePosixPath(new.folder).parent:
        return False
    return known.folder == new.folder or known.step > new.step


def _without_known(session: Session, job: Job, points: Sequence[LossPoint]) -> list[LossPoint]:
    """The points of which no step and split is in the history, JSON-safe, each once."""
    if not points:
        return []
    steps = [point.step for point in points]
    rows = session.execute(
        select(Loss.step, Loss.split).where(
            Loss.job_seq == job.seq, Loss.step.between(min(steps), max(steps))
        )
    )
    known = {(step, split) for step, split in rows}
    fresh: dict[tuple[int, str], LossPoint] = {}
    for point in points:
        key = (point.step, point.split)
        if key not in known:
            values = {name: _finite(value) for name, value in point.values.items()}
            fresh.setdefault(key, LossPoint(point.step, point.epoch, point.split, values))
    return list(fresh.values())


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
