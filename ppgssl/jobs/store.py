"""Every query on the job table: what the API asks and what a worker writes.

One method is one transaction. Reads never wait for a worker; writes to a running job need its
lease, and a write with a lease that another worker took over is refused, never merged.

Events, oldest first, are what a job's watchers see; the data of each type:
    status      status, attempt, reason (or null), error {code, message} (or null)
    progress    epoch, epochs, step, steps, fraction, eta_s, windows_per_s
    losses      points [{step, epoch, split, values {...}}]
    checkpoint  name, step, epoch, val_loss
    warning     message
The last event of a finished job is its status (`Event.is_terminal`).
"""

import hashlib
import json
import math
import secrets
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, case, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ppgssl.jobs.errors import (
    CheckpointNotFoundError,
    IdempotencyError,
    JobNotFoundError,
    JobStateError,
    LeaseLostError,
    ModelNotFoundError,
)
from ppgssl.jobs.records import (
    Claim,
    JobError,
    JobFilter,
    Lease,
    LossPoint,
    Model,
    NewCheckpoint,
    NewJob,
    Page,
    QueueFigures,
    Report,
)
from ppgssl.jobs.status import STALLED, Action, EventType, JobStatus
from ppgssl.jobs.tables import Checkpoint, Event, Job, LogLine, Loss, ModelAlias
from ppgssl.jobs.thinning import share_points, thin

BEST = "best"
WORKER_LOST = "worker_lost"
ROWS_PER_QUERY = 10_000  # databases take some 32,000 parameters in one statement


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class JobStore:
    """The job table of one database. Thread-safe; keep one for the life of a process.

    Args:
        engine: From `open_database`, migrated.
        clock: Now, in UTC. Leases are compared with it: machines that share a database need
            clocks that agree to well within the lease.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._writer = engine
        self._reader = engine.execution_options(only_reads=True)
        self._clock = clock

    # ------------------------------------------------------------------ asked by the API: jobs

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
                    self._tell_status(session, job)
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
            return _find(session, job_id)

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
                query = query.where(Job.seq < _find(session, after).seq)
            return _page(session.scalars(query).all(), limit)

    def request_cancel(self, job_id: str) -> Job:
        """Cancel a waiting job at once; ask the worker of a running one. Idempotent.

        Raises:
            JobNotFoundError: No such job.
            JobStateError: The job has succeeded or failed.
        """
        with self._write() as session:
            job = _find(session, job_id, lock=True)
            if job.status in {JobStatus.SUCCEEDED, JobStatus.FAILED}:
                raise JobStateError(f"job {job_id} has already {job.status}", job.status)
            if job.status in {JobStatus.QUEUED, JobStatus.PAUSED} or self._is_stalled(job):
                self._move(session, job, JobStatus.CANCELLED, "cancelled on request")
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
            job = _find(session, job_id, lock=True)
            _refuse_finished(job, "paused")
            if job.status is JobStatus.QUEUED or self._is_stalled(job):
                self._move(session, job, JobStatus.PAUSED, "paused on request")
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
            job = _find(session, job_id, lock=True)
            _refuse_finished(job, "resumed")
            job.requested_action = None
            if job.status is JobStatus.PAUSED:
                self._move(session, job, JobStatus.QUEUED, "resumed on request")
            return job

    def queue_figures(self) -> QueueFigures:
        """The queue in numbers."""
        now = self._clock()
        with self._read() as session:
            counts = session.execute(select(Job.status, func.count()).group_by(Job.status))
            jobs = dict.fromkeys([*(status.value for status in JobStatus), STALLED], 0)
            jobs |= {status.value: count for status, count in counts}
            jobs[STALLED] = session.scalars(
                select(func.count()).select_from(Job).where(_stalled_at(now))
            ).one()
            jobs[JobStatus.RUNNING.value] -= jobs[STALLED]
            oldest = session.scalars(
                select(Job.queued_at)
                .where(Job.status == JobStatus.QUEUED)
                .order_by(Job.queued_at)
                .limit(1)
            ).one_or_none()
        return QueueFigures(jobs, 0.0 if oldest is None else (now - oldest).total_seconds())

    def ping(self) -> None:
        """Ask for any job; raises what SQLAlchemy raises where database or table is away."""
        with self._read() as session:
            session.execute(select(Job.id).limit(1))

    # -------------------------------------------------------- asked by the API: what happened

    def losses(
        self,
        job_id: str,
        *,
        after_step: int = -1,
        split: str | None = None,
        max_points: int | None = None,
    ) -> Sequence[Loss]:
        """Loss history after a step, by step and split.

        With `max_points` the curve of each split is thinned so that all of them together have at
        most that many points; ends and extremes of `total` stay.

        Raises:
            JobNotFoundError: No such job.
            ValueError: `max_points` is less than 1.
        """
        with self._read() as session:
            conditions = [Loss.job_seq == _find(session, job_id).seq, Loss.step > after_step]
            if split is not None:
                conditions.append(Loss.split == split)
            if max_points is None:
                query = select(Loss).where(*conditions).order_by(Loss.step, Loss.split)
                return session.scalars(query).all()
            kept = _thinned_steps(session, conditions, max_points)
            rows = [
                row
                for name, steps in kept.items()
                for row in _losses_at(session, [*conditions, Loss.split == name], steps)
            ]
        return sorted(rows, key=lambda row: (row.step, row.split))

    def events(self, job_id: str, *, after: int = 0, limit: int = 500) -> Page[Event]:
        """Events with a number above `after`, oldest first.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            query = (
                select(Event)
                .where(Event.job_seq == _find(session, job_id).seq, Event.id > after)
                .order_by(Event.id)
                .limit(limit + 1)
            )
            return _page(session.scalars(query).all(), limit)

    def log_lines(self, job_id: str, *, after: int = 0, limit: int = 1000) -> Page[LogLine]:
        """Log lines with a number above `after`, oldest first.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            query = (
                select(LogLine)
                .where(LogLine.job_seq == _find(session, job_id).seq, LogLine.line > after)
                .order_by(LogLine.line)
                .limit(limit + 1)
            )
            return _page(session.scalars(query).all(), limit)

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """The job's checkpoints, by step and name.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            query = (
                select(Checkpoint)
                .where(Checkpoint.job_seq == _find(session, job_id).seq)
                .order_by(Checkpoint.step, Checkpoint.name)
            )
            return session.scalars(query).all()

    def checkpoint(self, job_id: str, name: str) -> Checkpoint:
        """One checkpoint of a job.

        Raises:
            JobNotFoundError: No such job.
            CheckpointNotFoundError: The job has no checkpoint of this name (yet).
        """
        with self._read() as session:
            return _find_checkpoint(session, _find(session, job_id), name)

    # -------------------------------------------------------------- asked by the API: models

    def models(self, *, after: str | None = None, limit: int = 20) -> Page[Model]:
        """Encoders that can embed, newest job first; `after` is a job's id.

        Raises:
            JobNotFoundError: `after` is no job's id.
        """
        query = (
            select(Job, Checkpoint)
            .join(Checkpoint, and_(Checkpoint.job_seq == Job.seq, Checkpoint.name == BEST))
            .order_by(Job.seq.desc())
            .limit(limit + 1)
        )
        with self._read() as session:
            if after is not None:
                query = query.where(Job.seq < _find(session, after).seq)
            rows = session.execute(query).all()
            return _page([Model(job, checkpoint) for job, checkpoint in rows], limit)

    def find_model(self, name: str) -> Checkpoint:
        """The checkpoint that an alias points at, or the best one of a job's id.

        Raises:
            ModelNotFoundError: No alias and no job is called so.
            CheckpointNotFoundError: The job has no best checkpoint (yet).
        """
        with self._read() as session:
            alias = session.get(ModelAlias, name)
            job_id, checkpoint = (alias.job_id, alias.checkpoint) if alias else (name, BEST)
            job = session.scalars(select(Job).where(Job.id == job_id)).one_or_none()
            if job is None:
                raise ModelNotFoundError(
                    f"no model is called {name!r}; give an alias or the id of a job"
                )
            return _find_checkpoint(session, job, checkpoint)

    def set_alias(self, alias: str, job_id: str, checkpoint: str = BEST) -> ModelAlias:
        """Point an alias at a job's checkpoint, wherever it pointed before.

        Raises:
            JobNotFoundError: No such job.
            CheckpointNotFoundError: The job has no checkpoint of this name.
        """
        try:
            return self._set_alias(alias, job_id, checkpoint)
        except IntegrityError:  # PostgreSQL: somebody made the same alias since we looked
            return self._set_alias(alias, job_id, checkpoint)

    def _set_alias(self, alias: str, job_id: str, checkpoint: str) -> ModelAlias:
        with self._write() as session:
            job = _find(session, job_id)
            row = ModelAlias(
                alias=alias,
                job_seq=job.seq,
                job_id=job.id,
                checkpoint=_find_checkpoint(session, job, checkpoint).name,
                updated_at=self._clock(),
            )
            return session.merge(row)

    def aliases(self) -> Sequence[ModelAlias]:
        """Every alias, by name."""
        with self._read() as session:
            return session.scalars(select(ModelAlias).order_by(ModelAlias.alias)).all()

    # ----------------------------------------------------------------------- done by a worker

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
            self._tell_status(session, job)
            assert job.lease_token is not None
            return Claim(job, Lease(job.id, job.lease_token, worker_id, job.attempt))

    def renew_lease(self, lease: Lease, duration: timedelta) -> None:
        """Keep the job for `duration` from now; touches nothing but the lease.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        renewal = (
            update(Job)
            .where(_held_by(lease))
            .values(lease_expires_at=self._clock() + duration)
            .execution_options(synchronize_session=False)
            .returning(Job.seq)
        )
        with self._write() as session:
            if session.scalars(renewal).one_or_none() is None:
                raise _lost(lease)

    def record(self, lease: Lease, report: Report) -> Action | None:
        """Write what a run did, and answer what has been asked of it meanwhile.

        A point of a step and split that is already there is left as it is: a resumed run that
        goes over old ground neither rewrites history nor repeats it.

        Raises:
            LeaseLostError: The job is no longer this lease's; nothing was written.
        """
        with self._write() as session:
            job = _held(session, lease)
            if report.plan is not None:
                job.plan = report.plan
            self._add_log_lines(session, job, report.log_lines)
            self._add_points(session, job, report.points)
            for checkpoint in report.checkpoints:
                self._add_checkpoint(session, job, checkpoint)
            for message in report.warnings:
                self._add_warning(session, job, message)
            if report.progress is not None:
                job.progress = report.progress
                self._tell(session, job, EventType.PROGRESS, report.progress)
            return job.requested_action

    def newest_step(self, job_id: str) -> int:
        """The last step in the job's loss history; 0 before the first.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            job = _find(session, job_id)
            newest = select(func.max(Loss.step)).where(Loss.job_seq == job.seq)
            return session.scalars(newest).one() or 0

    def succeed(self, lease: Lease) -> Job:
        """The run trained to its end.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        with self._write() as session:
            job = _held(session, lease)
            self._move(session, job, JobStatus.SUCCEEDED)
            return job

    def fail(self, lease: Lease, error: JobError) -> Job:
        """The run died. It is queued again where that can help and attempts are left, else failed.

        A request that came in while it died is done instead: cancelled, or paused.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        with self._write() as session:
            job = _held(session, lease)
            self._end_attempt(session, job, error)
            return job

    def hand_back(self, lease: Lease, reason: str) -> Job:
        """The run stopped at a checkpoint before its end.

        The job is cancelled or paused where that was asked for, else queued again, to go on with
        the same attempt.

        Raises:
            LeaseLostError: The job is no longer this lease's.
        """
        with self._write() as session:
            job = _held(session, lease)
            if not self._do_request(session, job):
                job.keeps_attempt = True
                self._move(session, job, JobStatus.QUEUED, reason)
            return job

    def recover_expired(self) -> Sequence[Job]:
        """Take jobs from workers whose lease has run out, and return those jobs.

        They are queued again while attempts are left, else failed with the code `worker_lost`;
        what was asked of them meanwhile is done instead.
        """
        with self._write() as session:
            expired = select(Job).where(_stalled_at(self._clock()))
            jobs = session.scalars(expired.with_for_update(skip_locked=True)).all()
            for job in jobs:
                message = f"worker {job.worker_id} was not heard of for longer than its lease"
                self._end_attempt(session, job, JobError(WORKER_LOST, message, retryable=True))
            return jobs

    # ----------------------------------------------------------------------------- transitions

    def _end_attempt(self, session: Session, job: Job, error: JobError) -> None:
        if self._do_request(session, job):
            return
        if error.retryable and job.attempt < job.max_attempts:
            reason = (
                f"attempt {job.attempt} of {job.max_attempts} ended ({error.code}): {error.message}"
            )
            self._add_warning(session, job, reason)
            self._move(session, job, JobStatus.QUEUED, reason)
        else:
            job.error = {"code": error.code, "message": error.message}
            self._move(session, job, JobStatus.FAILED)

    def _do_request(self, session: Session, job: Job) -> bool:
        """Carry out what was asked of a job whose run has ended; False if nothing was."""
        if job.requested_action is Action.CANCEL:
            self._move(session, job, JobStatus.CANCELLED, "cancelled on request")
        elif job.requested_action is Action.PAUSE:
            job.keeps_attempt = True
            self._move(session, job, JobStatus.PAUSED, "paused on request")
        else:
            return False
        return True

    def _move(
        self, session: Session, job: Job, status: JobStatus, reason: str | None = None
    ) -> None:
        now = self._clock()
        if job.status is JobStatus.RUNNING:
            assert job.claimed_at is not None
            job.ran_s += max(0.0, (now - job.claimed_at).total_seconds())
            job.lease_token = job.lease_expires_at = job.worker_id = job.requested_action = None
        if status is JobStatus.QUEUED:
            job.queued_at = now
        if status.is_finished:
            job.finished_at = now
        job.status = status
        self._tell_status(session, job, reason)

    def _is_stalled(self, job: Job) -> bool:
        return job.shown_status(self._clock()) == STALLED

    # ------------------------------------------------------------------------ pieces of history

    def _tell(
        self, session: Session, job: Job, event_type: EventType, data: dict[str, Any]
    ) -> None:
        job.last_event += 1
        session.add(
            Event(
                job_seq=job.seq,
                id=job.last_event,
                type=event_type,
                created_at=self._clock(),
                data=data,
            )
        )

    def _tell_status(self, session: Session, job: Job, reason: str | None = None) -> None:
        data = {
            "status": job.status.value,
            "attempt": job.attempt,
            "reason": reason,
            "error": job.error,
        }
        self._tell(session, job, EventType.STATUS, data)

    def _add_log_lines(self, session: Session, job: Job, lines: Sequence[str]) -> None:
        now = self._clock()
        rows = [
            {
                "job_seq": job.seq,
                "line": number,
                "attempt": job.attempt,
                "created_at": now,
                "text": line,
            }
            for number, line in enumerate(lines, start=job.last_line + 1)
        ]
        if rows:
            session.execute(insert(LogLine), rows)
        job.last_line += len(rows)

    def _add_points(self, session: Session, job: Job, points: Sequence[LossPoint]) -> None:
        fresh = _without_known(session, job, points)
        if not fresh:
            return
        told = [asdict(point) for point in fresh]
        rows = [
            {**point, "job_seq": job.seq, "total": point["values"].get("total")} for point in told
        ]
        session.execute(insert(Loss), rows)
        self._tell(session, job, EventType.LOSSES, {"points": told})

    def _add_checkpoint(self, session: Session, job: Job, new: NewCheckpoint) -> None:
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
            created_at=self._clock(),
        )
        session.merge(row)
        figures = {"step": new.step, "epoch": new.epoch, "val_loss": _finite(new.val_loss)}
        if new.name == BEST:
            job.best = figures
        self._tell(session, job, EventType.CHECKPOINT, {"name": new.name, **figures})

    def _add_warning(self, session: Session, job: Job, message: str) -> None:
        if message not in job.warnings:  # a resumed run warns of the same things once more
            job.warnings = [*job.warnings, message]
            self._tell(session, job, EventType.WARNING, {"message": message})

    # -------------------------------------------------------------------------------- sessions

    def _conditions(self, wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
        if wanted.kind is not None:
            yield Job.kind == wanted.kind
        if wanted.dataset is not None:
            yield Job.dataset == wanted.dataset
        if wanted.status == STALLED:
            yield _stalled_at(self._clock())
        elif wanted.status is not None:
            yield Job.status == JobStatus(wanted.status)
            yield or_(Job.status != JobStatus.RUNNING, Job.lease_expires_at >= self._clock())

    @contextmanager
    def _read(self) -> Generator[Session]:
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _write(self) -> Generator[Session]:
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session


def _new_row(new: NewJob, idempotency_key: str | None, now: datetime) -> Job:
    asked = asdict(new) if new.request is None else new.request
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


def _find(session: Session, job_id: str, *, lock: bool = False) -> Job:
    query = select(Job).where(Job.id == job_id)
    job = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if job is None:
        raise JobNotFoundError(f"no job has the id {job_id!r}; list the jobs to see their ids")
    return job


def _job_of_key(session: Session, idempotency_key: str | None) -> Job | None:
    if idempotency_key is None:
        return None
    return session.scalars(select(Job).where(Job.idempotency_key == idempotency_key)).one_or_none()


def _find_checkpoint(session: Session, job: Job, name: str) -> Checkpoint:
    checkpoint = session.get(Checkpoint, (job.seq, name))
    if checkpoint is None:
        known = session.scalars(select(Checkpoint.name).where(Checkpoint.job_seq == job.seq))
        raise CheckpointNotFoundError(
            f"job {job.id} ({job.status}) has no checkpoint {name!r}; "
            f"it has {', '.join(sorted(known)) or 'none yet'}"
        )
    return checkpoint


def _refuse_finished(job: Job, participle: str) -> None:
    if job.status.is_finished:
        raise JobStateError(
            f"job {job.id} has finished ({job.status}) and cannot be {participle}", job.status
        )
    if job.requested_action is Action.CANCEL:
        raise JobStateError(
            f"job {job.id} is being cancelled and cannot be {participle}", job.status
        )


def _held_by(lease: Lease) -> ColumnElement[bool]:
    return and_(
        Job.id == lease.job_id, Job.lease_token == lease.token, Job.status == JobStatus.RUNNING
    )


def _held(session: Session, lease: Lease) -> Job:
    """The leased job, locked until the transaction ends: nobody takes it over meanwhile."""
    job = session.scalars(select(Job).where(_held_by(lease)).with_for_update()).one_or_none()
    if job is None:
        raise _lost(lease)
    return job


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(
        f"job {lease.job_id} is no longer held by {lease.worker_id} (attempt {lease.attempt})"
    )


def _stalled_at(now: datetime) -> ColumnElement[bool]:
    return and_(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now)


def _page(items: Sequence[Any], limit: int) -> Page[Any]:
    return Page(list(items[:limit]), has_more=len(items) > limit)


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


def _thinned_steps(
    session: Session, conditions: Sequence[ColumnElement[bool]], max_points: int
) -> dict[str, list[int]]:
    """Steps to keep, by split."""
    curves: dict[str, tuple[list[int], list[float | None]]] = {}
    query = select(Loss.split, Loss.step, Loss.total).where(*conditions).order_by(Loss.step)
    for split, step, total in session.execute(query):
        steps, totals = curves.setdefault(split, ([], []))
        steps.append(step)
        totals.append(total)
    shares = share_points({split: len(steps) for split, (steps, _) in curves.items()}, max_points)
    return {
        split: [steps[i] for i in thin(totals, shares[split])] if shares[split] else []
        for split, (steps, totals) in curves.items()
    }


def _losses_at(
    session: Session, conditions: Sequence[ColumnElement[bool]], steps: Sequence[int]
) -> Iterator[Loss]:
    for start in range(0, len(steps), ROWS_PER_QUERY):
        some = steps[start : start + ROWS_PER_QUERY]
        yield from session.scalars(select(Loss).where(*conditions, Loss.step.in_(some)))
