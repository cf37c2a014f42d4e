"""How fast a job goes and how loaded its device is, kept over its steps in a bounded table.

A row is a stretch of the run: as many reports of progress as every other row, averaged. When the
rows are full, neighbours are joined and stretches become twice as long; a run of days has as many
rows as one of an hour, and all of them as coarse.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ppgssl.jobs.tables import Job, Pace

ROWS_LIMIT = 1024  # per job, even: about a point per pixel of a wide chart

AVERAGED = ("windows_per_s", "step_s", "device_utilisation")
HIGHEST = ("device_memory_bytes",)
NEWEST = ("epoch", "learning_rate")


def add_pace(session: Session, job: Job, progress: dict[str, Any], now: datetime) -> None:
    """Keep what a report of progress says of the pace, where the job got further than before.

    The caller's transaction holds the job's row.
    """
    newest = session.scalars(
        select(Pace).where(Pace.job_seq == job.seq).order_by(Pace.number.desc()).limit(1)
    ).one_or_none()
    if newest is not None and progress["step"] <= newest.step:
        return
    values = pace_of(progress)
    if newest is None:
        number = 0
    elif newest.reports < session.get_one(Pace, (job.seq, 0)).reports:
        newest.values = joined(newest.values, newest.reports, values, 1)
        newest.reports += 1
        newest.step, newest.told_at = progress["step"], now
        return
    else:
        number = newest.number + 1
    if number == ROWS_LIMIT:
        _join_neighbours(session, job)
        number = ROWS_LIMIT // 2
    session.add(
        Pace(
            job_seq=job.seq,
            number=number,
            step=progress["step"],
            reports=1,
            told_at=now,
            values=values,
        )
    )


def pace_of(progress: dict[str, Any]) -> dict[str, Any]:
    """The figures of a report that are kept; None is what it does not tell."""
    told = {name: progress.get(name) for name in (*NEWEST, *AVERAGED, *HIGHEST)}
    return told | {"step_s": step_seconds(progress)}


def joined(
    earlier: dict[str, Any], earlier_reports: int, later: dict[str, Any], later_reports: int
) -> dict[str, Any]:
    """The figures of two stretches as those of one; what one of them does not know, the other does.

    Args:
        earlier: Figures of the earlier stretch.
        earlier_reports: Reports that they are of: their weight in an average.
        later: Figures of the later stretch.
        later_reports: Reports that those are of.
    """
    both: dict[str, Any] = {}
    for name in (*NEWEST, *AVERAGED, *HIGHEST):
        a, b = earlier[name], later[name]
        if a is None or b is None:
            both[name] = a if b is None else b
        elif name in AVERAGED:
            both[name] = (a * earlier_reports + b * later_reports) / (
                earlier_reports + later_reports
            )
        else:
            both[name] = max(a, b) if name in HIGHEST else b
    return both


def step_seconds(progress: dict[str, Any]) -> float | None:
    """The time left, shared out over the steps left; those of a stage are shares of it."""
    if progress.get("stage") is not None:
        return None
    eta_s = progress.get("eta_s")
    steps_left = (progress.get("steps") or 0) - (progress.get("step") or 0)
    return eta_s / steps_left if eta_s is not None and steps_left > 0 else None


def _join_neighbours(session: Session, job: Job) -> None:
    rows = session.scalars(select(Pace).where(Pace.job_seq == job.seq).order_by(Pace.number)).all()
    for into, first, second in zip(rows, rows[::2], rows[1::2], strict=False):
        into.values = joined(first.values, first.reports, second.values, second.reports)
        into.reports = first.reports + second.reports
        into.step, into.told_at = second.step, second.told_at
    for row in rows[len(rows) // 2 :]:
        session.delete(row)
    session.flush()  # the freed numbers are taken again in this transaction
