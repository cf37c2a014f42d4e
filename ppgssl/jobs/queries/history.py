"""What happened to a job, as the API asks for it. Nothing here writes."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ppgssl.jobs.queries.lookups import find_checkpoint, find_job, page_of
from ppgssl.jobs.queries.loss_blocks import LossRange, thinned_steps
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.records import Page
from ppgssl.jobs.status import EventType, JobStatus
from ppgssl.jobs.tables import Checkpoint, Event, LogLine, Loss, Pace

ROWS_PER_QUERY = 10_000  # databases take some 32,000 parameters in one statement


class JobHistory(Transactions):
    """Losses, pace, events, log lines and checkpoints of a job."""

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
            wanted = LossRange(find_job(session, job_id).seq, after_step, split)
            if max_points is None:
                query = select(Loss).where(*wanted.conditions).order_by(Loss.step, Loss.split)
                return session.scalars(query).all()
            rows = [
                row
                for name, steps in thinned_steps(session, wanted, max_points).items()
                for row in _losses_at(session, wanted.job_seq, name, steps)
            ]
        return sorted(rows, key=lambda row: (row.step, row.split))

    def pace(self, job_id: str) -> Sequence[Pace]:
        """How fast the job went, stretch by stretch: at most `pace.ROWS_LIMIT` rows, by step.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            query = (
                select(Pace)
                .where(Pace.job_seq == find_job(session, job_id).seq)
                .order_by(Pace.number)
            )
            return session.scalars(query).all()

    def events(self, job_id: str, *, after: int = 0, limit: int = 500) -> Page[Event]:
        """Events with a number above `after`, oldest first.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            query = (
                select(Event)
                .where(Event.job_seq == find_job(session, job_id).seq, Event.id > after)
                .order_by(Event.id)
                .limit(limit + 1)
            )
            return page_of(session.scalars(query).all(), limit)

    def newest_claim(self, job_id: str) -> int | None:
        """Number of the job's newest claim; None before the first.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            told = session.scalars(
                select(Event)
                .where(
                    Event.job_seq == find_job(session, job_id).seq, Event.type == EventType.STATUS
                )
                .order_by(Event.id.desc())
            )
            claims = (event.id for event in told if event.data["status"] == JobStatus.RUNNING)
            return next(claims, None)

    def log_lines(self, job_id: str, *, after: int = 0, limit: int = 1000) -> Page[LogLine]:
        """Log lines with a number above `after`, oldest first.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            query = (
                select(LogLine)
                .where(LogLine.job_seq == find_job(session, job_id).seq, LogLine.line > after)
                .order_by(LogLine.line)
                .limit(limit + 1)
            )
            return page_of(session.scalars(query).all(), limit)

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """The job's checkpoints, by step and name.

        Raises:
            JobNotFoundError: No such job.
        """
        with self._read() as session:
            query = (
                select(Checkpoint)
                .where(Checkpoint.job_seq == find_job(session, job_id).seq)
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
            return find_checkpoint(session, find_job(session, job_id), name)


def _losses_at(session: Session, job_seq: int, split: str, steps: Sequence[int]) -> Iterator[Loss]:
    for start in range(0, len(steps), ROWS_PER_QUERY):
        some = steps[start : start + ROWS_PER_QUERY]
        yield from session.scalars(
            select(Loss).where(Loss.job_seq == job_seq, Loss.split == split, Loss.step.in_(some))
        )
