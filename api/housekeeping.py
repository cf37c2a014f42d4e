"""What nobody asks for and has to be done: lost jobs queued again, what outlived its use removed.

Every API process does it. Nothing here needs to be done by one alone: jobs change under their row's
lock, and a folder that another process removed meanwhile is gone all the same. It never touches a
job that a worker holds, or one that an alias points at.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from api.encoders import remove_unused_encoders
from ppgssl.jobs.database import DATABASE_AWAY
from ppgssl.jobs.errors import JobConflictError, JobNotFoundError
from ppgssl.jobs.queries.transactions import utc_now
from ppgssl.jobs.removal import finish_removals, tidy_attempts
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore

log = logging.getLogger(__name__)

SETTLED_FOR = timedelta(minutes=10)
"""A worker that lost its job tidies up behind itself; it has this long before others do."""

STOP_SECONDS = 5.0


class Housekeeping:
    """A thread that keeps house from entry to exit, at once and every so often.

    Args:
        store: The job table.
        settings: Intervals, and what is kept for how long.
        clock: Now, in UTC; the store's own, where it has another than the wall's.
    """

    def __init__(
        self, store: JobStore, settings: Settings, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(STOP_SECONDS)  # a round may be cut off anywhere

    def _run(self) -> None:
        self.keep_house()
        while not self._stop.wait(self._settings.housekeeping_seconds):
            self.keep_house()

    def keep_house(self) -> None:
        """Do all that there is to do; what fails is logged, and done the next time."""
        for task in (
            self._recover,
            self._delete_outlived,
            self._drop_old_epochs,
            self._tidy_finished,
            self._finish_removals,
            self._remove_encoders,
        ):
            if self._stop.is_set():
                return
            try:
                task()
            except DATABASE_AWAY as error:
                log.warning("cannot keep house, will try again: %s", error)
                return
            except Exception:  # whatever it is, the next round must come
                log.exception("housekeeping could not do all: %s", task.__name__.strip("_"))

    def _recover(self) -> None:
        for job in self._store.recover_expired():
            log.warning(
                "took a job from a lost worker: %s",
                job.status,
                extra={"job_id": job.id, "attempt": job.attempt},
            )

    def _delete_outlived(self) -> None:
        keep_for = _days(self._settings.keep_finished_days)
        keep_newest = self._settings.keep_finished_jobs
        for job_id in self._store.outlived(keep_for=keep_for, keep_newest=keep_newest):
            try:
                self._store.delete(job_id)
            except (JobNotFoundError, JobConflictError) as error:  # deleted, or wanted, since
                log.info("a job is not deleted: %s", error, extra={"job_id": job_id})
            else:
                log.info("deleted a job that outlived its time", extra={"job_id": job_id})

    def _drop_old_epochs(self) -> None:
        keep_for = _days(self._settings.keep_epoch_checkpoints_days)
        for job_id in self._store.with_old_epochs(keep_for) if keep_for is not None else ():
            with suppress(JobNotFoundError):  # deleted since
                for name in self._store.drop_epochs(job_id):
                    log.info("dropped checkpoint %s", name, extra={"job_id": job_id})

    def _tidy_finished(self) -> None:
        for job_id in self._store.untidied(SETTLED_FOR):
            try:
                removed = tidy_attempts(self._store, self._settings, job_id)
            except JobNotFoundError:  # deleted since
                continue
            except OSError as error:
                log.warning("cannot tidy, will try again: %s", error, extra={"job_id": job_id})
                continue
            self._store.tidied(job_id)
            for path in removed:
                log.info("removed %s, which was not published", path, extra={"job_id": job_id})

    def _finish_removals(self) -> None:
        for removal in finish_removals(self._store, self._settings.artifact_root):
            log.info("removed %s", removal.folder, extra={"job_id": removal.job_id})

    def _remove_encoders(self) -> None:
        used = self._store.encoders_in_use()
        for name in remove_unused_encoders(self._settings.kept_encoders, used, self._clock()):
            log.info("removed the kept encoder %s, which no job needs", name)


def _days(number: float | None) -> timedelta | None:
    return None if number is None else timedelta(days=number)
