"""What goes: jobs that are deleted, and checkpoints that are thinned out.

A row goes in the same transaction that notes its folder as one to be removed, so the folder is
found again whenever the process dies. The files are the business of `ppgssl.jobs.removal`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ppgssl.jobs.errors import JobInUseError, JobStateError
from ppgssl.jobs.kinds import JOBS_FOLDER
from ppgssl.jobs.queries.lookups import find_job
from ppgssl.jobs.queries.retention import IS_SPARE_EPOCH
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.tables import Checkpoint, Job, ModelAlias, Removal


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
            query = select(Checkpoint).where(of_job, IS_SPARE_EPOCH).order_by(Checkpoint.step)
            dropped = session.scalars(query).all()
            for checkpoint in dropped:
                session.delete(checkpoint)
            session.flush()
            kept = set(session.scalars(select(Checkpoint.folder).where(of_job)))
            folders = {checkpoint.folder for checkpoint in dropped} - kept
            _note(session, job, folders, self._clock())
            return [checkpoint.name for checkpoint in dropped]

    def tidied(self, job_id: str) -> None:
        """The job's folder holds nothing any more that was not published."""
        with self._write() as session:
            session.execute(
                update(Job)
                .where(Job.id == job_id)
                .values(tidied_at=self._clock())
                .execution_options(synchronize_session=False)
            )

    def removals(self) -> Sequence[Removal]:
        """Folders that are to be removed, in the order in which that was decided."""
        with self._read() as session:
            order = (Removal.asked_at, Removal.folder)
            return session.scalars(select(Removal).order_by(*order)).all()

    def removed(self, folder: str) -> None:
        """The folder is gone; any number of times."""
        with self._write() as session:
            session.execute(delete(Removal).where(Removal.folder == folder))


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
