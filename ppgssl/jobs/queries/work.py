"""What a worker does: claim a job, keep its lease, write what its run did, settle its end.

Every write to a running job needs its lease; a write with a lease that another worker took over is
refused, never merged.
"""

import secrets
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import case, func, select, update

from ppgssl.jobs.queries.lookups import held_by, held_job, lost
from ppgssl.jobs.queries.telling import (
    add_checkpoint,
    add_log_lines,
    add_points,
    add_progress,
    add_warning,
    tell_status,
)
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.queries.transitions import do_request, end_attempt, move
from ppgssl.jobs.records import Claim, JobError, Lease, Report
from ppgssl.jobs.status import Action, JobStatus
from ppgssl.jobs.tables import Job


class JobWork(Transactions):
    """A job from its claim to the end of its lease."""

    def claim(self, worker_id: str, kinds: Collection[str], lease: timedelta) -> Claim | None:
        """Take the first queued job of these kinds, or None where there is none.

        One statement decides who gets it: no two callers ever get the same job.
        """
        now = self._clock()
        first = (
            select(Job.seq)
            .where(Job.status == JobStatus.QUEUED, Job.kind.in_(kinds))
            .order_by(Job.priority.desc(), Job.seq)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        take = (
            update(Job)
            .where(Job.seq == first)
            .values(
                status=JobStatus.RUNNING,
                attempt=Job.attempt + case((Job.keeps_attempt, 0), else_=1),
                keeps_attempt=False,
                worker_id=worker_id,
                lease_token=secrets.token_hex(16),
                lease_expires_at=now + lease,
                claimed_at=now,
                started_at=func.coalesce(Job.started_at, now),
            )
            .returning(Job)
            .execution_options(synchronize_session=False)
        )
        with self._write() as session:
            job = session.scalars(take).one_or_none()
            if job is None:
                return None
            tell_status(session, job, now)
            assert job.lease_token is not None
            return Claim(
                job, Lease(job.id, job.lease_token, worker_id, job.attempt, job.last_event)
            )

    def renew_lease(self, lease: Lease, duration: timedelta) -> None:
        """Keep the job for `duration` from now; touches nothing but the lease.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        renewal = (
            update(Job)
            .where(held_by(lease))
            .values(lease_expires_at=self._clock() + duration)
            .execution_options(synchronize_session=False)
            .returning(Job.seq)
        )
        with self._write() as session:
            if session.scalars(renewal).one_or_none() is None:
                raise lost(lease)

    def record(self, lease: Lease, report: Report) -> Action | None:
        """Write what a run did, and answer what has been asked of it meanwhile.

        A point of a step and split that is already there is left as it is: a resumed run that
        goes over old ground neither rewrites history nor repeats it. The same report may be
        recorded again where nobody knows whether it was.

        Raises:
            LeaseLostError: The job is no longer this lease's; nothing was written.
        """
        now = self._clock()
        with self._write() as session:
            job = held_job(session, lease)
            if report.plan is not None:
                job.plan = report.plan
            add_log_lines(session, job, report, now)
            add_points(session, job, report.points, now)
            for checkpoint in report.checkpoints:
                add_checkpoint(session, job, checkpoint, now)
            for message in report.warnings:
                add_warning(session, job, message, now)
            if report.progress is not None:
                add_progress(session, job, report.progress, now)
            return job.requested_action

    def succeed(self, lease: Lease) -> Job:
        """The run trained to its end.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        with self._write() as session:
            job = held_job(session, lease)
            move(session, job, JobStatus.SUCCEEDED, self._clock())
            return job

    def fail(self, lease: Lease, error: JobError) -> Job:
        """The run died. It is queued again where that can help and attempts are left, else failed.

        A request that came in while it died is done instead: cancelled, or paused.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        with self._write() as session:
            job = held_job(session, lease)
            end_attempt(session, job, error, self._clock())
            return job

    def hand_back(self, lease: Lease, reason: str) -> Job:
        """The run stopped at a checkpoint before its end.

        The job is cancelled or paused where that was asked for, else queued again, to go on with
        the same attempt.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        with self._write() as session:
            job = held_job(session, lease)
            if not do_request(session, job, self._clock()):
                job.keeps_attempt = True
                move(session, job, JobStatus.QUEUED, self._clock(), reason)
            return job
