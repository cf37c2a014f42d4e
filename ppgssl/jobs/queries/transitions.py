"""Moving a job from one status to another: the arrows of `ppgssl.jobs.status`.

Every function belongs to a transaction that holds the job's row, and tells the watchers.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from ppgssl.jobs.errors import JobStateError
from ppgssl.jobs.queries.telling import add_warning, tell_status
from ppgssl.jobs.records import JobError
from ppgssl.jobs.status import Action, JobStatus
from ppgssl.jobs.tables import Job


def move(
    session: Session, job: Job, status: JobStatus, now: datetime, reason: str | None = None
) -> None:
    """Give the job this status; leaving `running` ends its lease and what was asked of it."""
    if job.status is JobStatus.RUNNING:
        assert job.claimed_at is not None
        job.ran_s += max(0.0, (now - job.claimed_at).total_seconds())
        job.lease_token = job.lease_expires_at = job.worker_id = job.requested_action = None
    if status is JobStatus.QUEUED:
        job.queued_at = now
    if status.is_finished:
        job.finished_at = now
    job.status = status
    tell_status(session, job, now, reason)


def end_attempt(session: Session, job: Job, error: JobError, now: datetime) -> None:
    """Do what was asked of a job whose run died; else queue it again where that helps, or fail."""
    if do_request(session, job, now):
        return
    if error.is_retryable and job.attempt < job.max_attempts:
        reason = (
            f"attempt {job.attempt} of {job.max_attempts} ended ({error.code}): {error.message}"
        )
        add_warning(session, job, reason, now)
        move(session, job, JobStatus.QUEUED, now, reason)
    else:
        job.error = {"code": error.code, "message": error.message}
        move(session, job, JobStatus.FAILED, now)


def do_request(session: Session, job: Job, now: datetime) -> bool:
    """Carry out what was asked of a job whose run has ended; False if nothing was."""
    if job.requested_action is Action.CANCEL:
        move(session, job, JobStatus.CANCELLED, now, "cancelled on request")
    elif job.requested_action is Action.PAUSE:
        job.keeps_attempt = True
        move(session, job, JobStatus.PAUSED, now, "paused on request")
    else:
        return False
    return True


def refuse_finished(job: Job, participle: str) -> None:
    """Refuse what makes no sense for a job that has ended, or is being cancelled.

    Raises:
        JobStateError: It has, or is.
    """
    if job.status.is_finished:
        raise JobStateError(
            f"job {job.id} has finished ({job.status}) and cannot be {participle}", job.status
        )
    if job.requested_action is Action.CANCEL:
        raise JobStateError(
            f"job {job.id} is being cancelled and cannot be {participle}", job.status
        )
