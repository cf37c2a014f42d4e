"""Encoders that can embed, and names for them that move without a restart."""

from collections.abc import Sequence

from sqlalchemy import and_, select
from sqlalchemy.exc import IntegrityError

from ppgssl.jobs.errors import ModelNotFoundError
from ppgssl.jobs.queries.lookups import find_checkpoint, find_job, page_of
from ppgssl.jobs.queries.telling import BEST
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.records import Model, Page
from ppgssl.jobs.tables import Checkpoint, Job, ModelAlias


class ModelNames(Transactions):
    """The best checkpoints of jobs, and the aliases that point at checkpoints."""

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
                query = query.where(Job.seq < find_job(session, after).seq)
            rows = session.execute(query).all()
            return page_of([Model(job, checkpoint) for job, checkpoint in rows], limit)

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
            return find_checkpoint(session, job, checkpoint)

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
            job = find_job(session, job_id, lock=True)  # it must not be deleted meanwhile
            row = ModelAlias(
                alias=alias,
                job_seq=job.seq,
                job_id=job.id,
                checkpoint=find_checkpoint(session, job, checkpoint).name,
                updated_at=self._clock(),
            )
            return session.merge(row)

    def aliases(self) -> Sequence[ModelAlias]:
        """Every alias, by name."""
        with self._read() as session:
            return session.scalars(select(ModelAlias).order_by(ModelAlias.alias)).all()
