"""What has outlived its use: jobs, checkpoints, leftovers and kept encoders. Nothing here writes.

What an alias points at, or a job that has not finished needs, never has.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session

from ppgssl.jobs.kinds import OF_AN_ENCODER
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.status import FINISHED
from ppgssl.jobs.tables import Checkpoint, Job, ModelAlias

IS_FINISHED = Job.status.in_(sorted(FINISHED))
HAS_ALIAS = select(ModelAlias.alias).where(ModelAlias.job_seq == Job.seq).exists()
IS_ALIASED = (
    select(ModelAlias.alias)
    .where(ModelAlias.job_seq == Checkpoint.job_seq, ModelAlias.checkpoint == Checkpoint.name)
    .exists()
)
IS_SPARE_EPOCH = and_(Checkpoint.name.like("epoch-%"), ~IS_ALIASED)
"""A checkpoint that lies between a run's first and last, and that no alias points at."""


class JobRetention(Transactions):
    """Asked every so often; the answers are ids, oldest first."""

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
            .where(IS_SPARE_EPOCH)
            .group_by(Job.id, Job.finished_at)
            .order_by(Job.finished_at)
            .limit(limit)
        )
        with self._read() as session:
            return session.scalars(query).all()

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

    def encoders_in_use(self) -> set[str]:
        """sha256 of the kept encoders that jobs still need."""
        query = select(Job.config).where(Job.kind.in_(OF_AN_ENCODER), ~IS_FINISHED)
        with self._read() as session:
            return {sha256 for config in session.scalars(query) for sha256 in _encoders(config)}


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
