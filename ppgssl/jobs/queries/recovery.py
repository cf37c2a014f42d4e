"""What nobody asks for and has to be done: jobs taken from workers that are gone."""

from collections.abc import Sequence

from sqlalchemy import select

from ppgssl.jobs.queries.lookups import stalled_at
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.queries.transitions import end_attempt
from ppgssl.jobs.records import JobError
from ppgssl.jobs.status import Reason
from ppgssl.jobs.tables import Job


class Recovery(Transactions):
    """Done by whoever has time: it does not matter who, or how many at once."""

    def recover_expired(self) -> Sequence[Job]:
        """Take jobs from workers whose lease has run out, and return those jobs.

        They are queued again while attempts are left, else failed with the code `worker_lost`;
        what was asked of them meanwhile is done instead.
        """
        with self._write() as session:
            expired = select(Job).where(stalled_at(self._clock()))
            jobs = session.scalars(expired.with_for_update(skip_locked=True)).all()
            for job in jobs:
                message = f"worker {job.worker_id} was not heard of for longer than its lease"
                end_attempt(session, job, JobError(Reason.WORKER_LOST, message), self._clock())
            return jobs
