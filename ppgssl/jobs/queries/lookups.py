"""Finding rows, and the conditions that several queries share. Nothing here writes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from ppgssl.jobs.errors import CheckpointNotFoundError, JobNotFoundError, LeaseLostError
from ppgssl.jobs.records import Lease, Page
from ppgssl.jobs.status import JobStatus
from ppgssl.jobs.tables import Checkpoint, Job


def find_job(session: Session, job_id: str, *, lock: bool = False) -> Job:
    """The job of this id; locked until the transaction ends where that is asked for.

    Raises:
        JobNotFoundError: There is none.
    """
    query = select(Job).where(Job.id == job_id)
    job = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if job is None:
        raise JobNotFoundError(f"no job has the id {job_id!r}; list the jobs to see their ids")
    return job


def find_checkpoint(session: Session, job: Job, name: str) -> Checkpoint:
    """The job's checkpoint of this name.

    Raises:
        CheckpointNotFoundError: The job has none (yet).
    """
    checkpoint = session.get(Checkpoint, (job.seq, name))
    if checkpoint is None:
        known = session.scalars(select(Checkpoint.name).where(Checkpoint.job_seq == job.seq))
        raise CheckpointNotFoundError(
            f"job {job.id} ({job.status}) has no checkpoint {name!r}; "
            f"it has {', '.join(sorted(known)) or 'none yet'}"
        )
    return checkpoint


def held_by(lease: Lease) -> ColumnElement[bool]:
    """The lease's job, as long as it is the lease's."""
    return and_(
        Job.id == lease.job_id, Job.lease_token == lease.token, Job.status == JobStatus.RUNNING
    )


def held_job(session: Session, lease: Lease) -> Job:
    """The leased job, locked until the transaction ends: nobody takes it over meanwhile.

    Raises:
        LeaseLostError: The job is no longer this lease's.
    """
    job = session.scalars(select(Job).where(held_by(lease)).with_for_update()).one_or_none()
    if job is None:
        raise lost(lease)
    return job


def lost(lease: Lease) -> LeaseLostError:
    """What whoever writes with a lease that is no longer valid is told."""
    return LeaseLostError(
        f"job {lease.job_id} is no longer held by {lease.worker_id} (attempt {lease.attempt})"
    )


def stalled_at(now: datetime) -> ColumnElement[bool]:
    """Running jobs whose lease has run out."""
    return and_(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now)


def page_of(items: Sequence[Any], limit: int) -> Page[Any]:
    """The first `limit` items, of which one more was asked for."""
    return Page(list(items[:limit]), has_more=len(items) > limit)
