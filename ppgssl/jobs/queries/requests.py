"""Jobs as the API asks for them: created, listed, cancelled, paused, resumed."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ppgssl.jobs.errors import IdempotencyError, JobStateError
from ppgssl.jobs.queries.lookups import find_job, page_of, stalled_at
from ppgssl.jobs.queries.telling import tell_status
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.queries.transitions import move, refuse_finished
from ppgssl.jobs.records import JobFilter, NewJob, Page
from ppgssl.jobs.status import STALLED, Action, JobStatus
from ppgssl.jobs.tables import Job


class JobRequests(Transactions):
    """What is asked of jobs from outside. What is asked of a running one is left to its worker."""

    def create(self, new: NewJob, *, idempotency_key: str | None = None) -> Job:
        """Queue a job; with a key that was used before, return the job that it created then.

        Raises:
            IdempotencyError: The key was used with another request.
        """
        job = _new_row(new, idempotency_key, self._clock())
        try:
            with self._write() as session:
                known = _job_of_key(session, idempotency_key)
                if known is None:
                    session.add(job)
                    session.flush()  # gives the job its number
                    tell_status(session, job, self._clock())
                    return job
        except IntegrityError:  # PostgreSQL: the same key was inserted since we looked
            with self._read() as session:
                known = _job_of_key(session, idempotency_key)
            if known is None:
                raise
        if known.request_sha256 != job.request_sha256:
            raise IdempotencyError(
                f"the idempotency key {idempotency_key!r} belongs to job {known.id}, which was "
                "asked for with another body; send the same body or a new key"
            )
        return known

    def get(self, job_id: str) -> Job:
        """The job of this id.

        Raises:
            JobNotFoundError: There is none.
        """
        with self._read() as session:
            return find_job(session, job_id)

    def jobs(
        self, wanted: JobFilter | None = None, *, after: str | None = None, limit: int = 20
    ) -> Page[Job]:
        """Jobs, newest first; `after` is the id of the last job already seen.

        Raises:
            JobNotFoundError: `after` is no job's id.
        """
        query = select(Job).order_by(Job.seq.desc()).limit(limit + 1)
        for condition in self._conditions(wanted or JobFilter()):
            query = query.where(condition)
        with self._read() as session:
            if after is not None:
                query = query.where(Job.seq < find_job(session, after).seq)
            return page_of(session.scalars(query).all(), limit)

    def request_cancel(self, job_id: str) -> Job:
        """Cancel a waiting job at once; ask the worker of a running one. Idempotent.

        Raises:
            JobNotFoundError: No such job.
            JobStateError: The job has succeeded or failed.
        """
        with self._write() as session:
            job = find_job(session, job_id, lock=True)
            if job.status in {JobStatus.SUCCEEDED, JobStatus.FAILED}:
                raise JobStateError(f"job {job_id} has already {job.status}", job.status)
            if job.status in {JobStatus.QUEUED, JobStatus.PAUSED} or self._is_stalled(job):
                move(session, job, JobStatus.CANCELLED, self._clock(), "cancelled on request")
            elif job.status is JobStatus.RUNNING:
                job.requested_action = Action.CANCEL
            return job

    def request_pause(self, job_id: str) -> Job:
        """Pause a queued job at once; ask the worker of a running one. Idempotent.

        Raises:
            JobNotFoundError: No such job.
            JobStateError: The job has finished, or is being cancelled.
        """
        with self._write() as session:
            job = find_job(session, job_id, lock=True)
            refuse_finished(job, "paused")
            if job.status is JobStatus.QUEUED or self._is_stalled(job):
                move(session, job, JobStatus.PAUSED, self._clock(), "paused on request")
            elif job.status is JobStatus.RUNNING:
                job.requested_action = Action.PAUSE
            return job

    def request_resume(self, job_id: str) -> Job:
        """Queue a paused job again, or withdraw a pause not done yet. Idempotent.

        The job continues from its last checkpoint.

        Raises:
            JobNotFoundError: No such job.
            JobStateError: The job has finished, or is being cancelled.
        """
        with self._write() as session:
            job = find_job(session, job_id, lock=True)
            refuse_finished(job, "resumed")
            job.requested_action = None
            if job.status is JobStatus.PAUSED:
                move(session, job, JobStatus.QUEUED, self._clock(), "resumed on request")
            return job

    def ping(self) -> None:
        """Ask for any job; raises what SQLAlchemy raises where database or table is away."""
        with self._read() as session:
            session.execute(select(Job.id).limit(1))

    def _is_stalled(self, job: Job) -> bool:
        return job.shown_status(self._clock()) == STALLED

    def _conditions(self, wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
        if wanted.kind is not None:
            yield Job.kind == wanted.kind
        if wanted.dataset is not None:
            yield Job.dataset == wanted.dataset
        if wanted.status == STALLED:
            yield stalled_at(self._clock())
        elif wanted.status is not None:
            yield Job.status == JobStatus(wanted.status)
            yield or_(Job.status != JobStatus.RUNNING, Job.lease_expires_at >= self._clock())


def _new_row(new: NewJob, idempotency_key: str | None, now: datetime) -> Job:
    asked = asdict(new) if new.request is None else new.request
    if new.cloned_from is not None:  # the same wish, put as a clone, is another request
        asked = {**asked, "cloned_from": new.cloned_from}
    body = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return Job(
        id=f"job_{secrets.token_hex(10)}",
        kind=new.kind,
        name=new.name,
        dataset=new.dataset,
        config=new.config,
        user_metadata=new.metadata,
        idempotency_key=idempotency_key,
        request_sha256=hashlib.sha256(body.encode()).hexdigest(),
        request=new.request,
        cloned_from=new.cloned_from,
        status=JobStatus.QUEUED,
        priority=new.priority,
        attempt=0,
        keeps_attempt=False,
        max_attempts=new.max_attempts,
        max_runtime_s=new.max_runtime_s,
        ran_s=0.0,
        created_at=now,
        queued_at=now,
        warnings=[],
        last_event=0,
        last_line=0,
    )


def _job_of_key(session: Session, idempotency_key: str | None) -> Job | None:
    if idempotency_key is None:
        return None
    return session.scalars(select(Job).where(Job.idempotency_key == idempotency_key)).one_or_none()
