"""What goes: jobs that are deleted, and checkpoints that are thinned out.

A row goes in the same transaction that notes its folder as one to be removed, so the folder is
found again whenever the process dies. The files are the business of `ppgssl.jobs.removal`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, false, or_, select, update
from sqlalchemy.orm import Session

from ppgssl.jobs.errors import JobInUseError, JobStateError
from ppgssl.jobs.kinds import JOBS_FOLDER, JobKind
from ppgssl.jobs.queries.lookups import find_job
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.status import FINISHED
from ppgssl.jobs.tables import Checkpoint, Job, ModelAlias, Removal

EPOCHS = "epoch-%"
"""Names of the checkpoints between a run's first and last, as SQL's LIKE has them."""

IS_FINISHED = Job.status.in_(sorted(FINISHED))
HAS_ALIAS = select(ModelAlias.alias).where(ModelAlias.job_seq == Job.seq).exists()
IS_ALIASED = (
    select(ModelAlias.alias)
    .where(ModelAlias.job_seq == Checkpoint.job_seq, ModelAlias.checkpoint == Checkpoint.name)
    .exists()
)


class JobRemoval(Transactions):
    """The end of rows, and the list of folders that they leave to be removed."""

    def delete(self, job_id: str) -> None:
        """Remove a finished job with all that is known of it; its folder is to be removed.

        Raises:
            JobNotFoundError: No such job (any more).
            JobStateError: It has not finished.
            JobInUseError: An alias points at it.
        """
        with self._write() as session:
            job = find_job(session, job_id, lock=True)
            if not job.status.is_finished:
                raise JobStateError(
                    f"job {job_id} has not finished ({job.status}) and cannot be deleted; "
                    "cancel it first",
                    job.status,
                )
            _refuse_aliased(session, job)
            _note(session, job, [f"{JOBS_FOLDER}/{job.id}"], self._clock())
            session.execute(delete(Job).where(Job.seq == job.seq))  # the rest goes with it

    def outlived(
        self, *, keep_for: timedelta | None, keep_newest: int | None, limit: int = 100
    ) -> Sequence[str]:
        """Ids of finished jobs that need not be kept, oldest first; without a limit there are none.

        Args:
            keep_for: A job that finished longer ago has outlived this; None: never.
            keep_newest: So many are kept, those that finished last; None: any number.
            limit: Largest number of ids.
        """
        with self._read() as session:
            over: list[ColumnElement[bool]] = []
            if keep_for is not None:
                over.append(Job.finished_at < self._clock() - keep_for)
            if keep_newest is not None:
                over.append(_beyond(session, keep_newest))
            query = select(Job.id).where(IS_FINISHED, ~HAS_ALIAS, or_(false(), *over))
            order = (Job.finished_at, Job.seq)
            return session.scalars(query.order_by(*order).limit(limit)).all()

    def with_old_epochs(self, keep_for: timedelta, *, limit: int = 100) -> Sequence[str]:
        """Ids of jobs that finished longer ago than this and have `epoch-N` checkpoints to lose."""
        query = (
            select(Job.id)
            .join(Checkpoint, Checkpoint.job_seq == Job.seq)
            .where(IS_FINISHED, Job.finished_at < self._clock() - keep_for)
            .where(Checkpoint.name.like(EPOCHS), ~IS_ALIASED)
            .group_by(Job.id, Job.finished_at)
            .order_by(Job.finished_at)
            .limit(limit)
        )
        with self._read() as session:
            return session.scalars(query).all()

    def drop_epochs(self, job_id: str) -> Sequence[str]:
        """Remove the `epoch-N` checkpoints of a finished job, but for those of an alias.

        Returns:
            Their names. A folder that another checkpoint of the job shares stays.

        Raises:
            JobNotFoundError: No such job (any more).
        """
        with self._write() as session:
            job = find_job(session, job_id, lock=True)
            of_job = Checkpoint.job_seq == job.seq
            query = select(Checkpoint).where(of_job, Checkpoint.name.like(EPOCHS), ~IS_ALIASED)
            dropped = session.scalars(query.order_by(Checkpoint.step)).all()
            for checkpoint in dropped:
                session.delete(checkpoint)
            session.flush()
            kept = set(session.scalars(select(Checkpoint.folder).where(of_job)))
            folders = {checkpoint.folder for checkpoint in dropped} - kept
            _note(session, job, folders, self._clock())
            return [checkpoint.name for checkpoint in dropped]

    def untidied(self, settled_for: timedelta, *, limit: int = 100) -> Sequence[str]:
        """Ids of jobs that finished so long ago and whose folders nobody has tidied since."""
        query = (
            select(Job.id)
            .where(Job.tidied_at.is_(None), Job.finished_at < self._clock() - settled_for)
            .order_by(Job.finished_at)
            .limit(limit)
        )
        with self._read() as session:
            return session.scalars(query).all()

    def tidied(self, job_id: str) -> None:
        """The job's folder holds nothing any more that was not published."""
        with self._write() as session:
            session.execute(
                update(Job)
                .where(Job.id == job_id)
                .values(tidied_at=self._clock())
                .execution_options(synchronize_session=False)
            )

    def encoders_in_use(self) -> set[str]:
        """sha256 of the kept encoders that evaluations still need."""
        query = select(Job.config).where(Job.kind == JobKind.EVALUATE.value, ~IS_FINISHED)
        with self._read() as session:
            return {sha256 for config in session.scalars(query) for sha256 in _encoders(config)}

    def removals(self) -> Sequence[Removal]:
        """Folders that are to be removed, in the order in which that was decided."""
        with self._read() as session:
            order = (Removal.asked_at, Removal.folder)
            return session.scalars(select(Removal).order_by(*order)).all()

    def removed(self, folder: str) -> None:
        """The folder is gone; any number of times."""
        with self._write() as session:
            session.execute(delete(Removal).where(Removal.folder == folder))


def _beyond(session: Session, newest: int) -> ColumnElement[bool]:
    """Finished jobs that at least so many others finished after."""
    first_beyond = session.execute(
        select(Job.finished_at, Job.seq)
        .where(IS_FINISHED)
        .order_by(Job.finished_at.desc(), Job.seq.desc())
        .offset(newest)
        .limit(1)
    ).one_or_none()
    if first_beyond is None:
        return false()
    at, seq = first_beyond
    return or_(Job.finished_at < at, and_(Job.finished_at == at, Job.seq <= seq))


def _encoders(config: dict[str, Any]) -> Collection[str]:
    settled = [config.get("encoder", {}), *config.get("encoders_beside", {}).values()]
    return [encoder["sha256"] for encoder in settled if encoder]


def _refuse_aliased(session: Session, job: Job) -> None:
    query = select(ModelAlias.alias).where(ModelAlias.job_seq == job.seq)
    names = session.scalars(query.order_by(ModelAlias.alias)).all()
    if names:
        raise JobInUseError(
            f"job {job.id} cannot be deleted while an alias points at it "
            f"({', '.join(names)}); point the alias at another job first"
        )


def _note(session: Session, job: Job, folders: Collection[str], now: datetime) -> None:
    for folder in folders:
        session.merge(Removal(folder=folder, job_id=job.id, asked_at=now))
