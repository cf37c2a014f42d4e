"""Keeps the lease on a job: a thread of its own, so that no busy step lets it run out."""

import logging
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from ppgssl.jobs.database import DATABASE_AWAY
from ppgssl.jobs.errors import LeaseLostError
from ppgssl.jobs.records import Lease
from ppgssl.jobs.store import JobStore

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews a lease from entry to exit; `lost` once the job must be taken to be another's."""

    def __init__(
        self, store: JobStore, lease: Lease, *, every_seconds: float, lease_seconds: float
    ) -> None:
        self._store = store
        self._lease = lease
        self._log = logging.LoggerAdapter(log, lease.log_context)
        self._every_seconds = every_seconds
        self._lease_seconds = lease_seconds
        self._renewed_at = time.monotonic()  # a claim is a renewal
        self._refused = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

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
        self._thread.join()

    @property
    def lost(self) -> bool:
        """The lease was refused, or nobody could be told for so long that it has run out."""
        return self._refused or time.monotonic() - self._renewed_at > self._lease_seconds

    def _beat(self) -> None:
        while not self._stop.wait(self._every_seconds):
            began = time.monotonic()
            try:
                self._store.renew_lease(self._lease, timedelta(seconds=self._lease_seconds))
            except LeaseLostError:
                self._refused = True
                return
            except DATABASE_AWAY as error:
                self._log.warning("cannot renew the lease: %s", error)
            else:
                self._renewed_at = began
