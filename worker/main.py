"""The worker's loop: recover, claim, run, until told to stop.

SIGTERM or SIGINT stops it: the run under way writes a checkpoint and its job goes back to the queue
at once. It never trains itself; every run is a child process.
"""

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from datetime import timedelta
from types import FrameType

from ppgssl.errors import InputError
from ppgssl.jobs.database import DATABASE_AWAY, check_database, migrate, open_database
from ppgssl.jobs.records import Claim
from ppgssl.jobs.settings import Settings, load_settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.structured_logging import configure_logging
from worker.device import check_device
from worker.kinds import KINDS
from worker.liveness import liveness_file
from worker.run import Run
from worker.stop_request import StopRequest

log = logging.getLogger(__name__)

EXIT_USAGE = 2


class Worker:
    """Takes jobs of its kinds, one at a time, until `stop` is set."""

    def __init__(
        self,
        store: JobStore,
        settings: Settings,
        *,
        kinds: Mapping[str, str],
        stop: StopRequest,
    ) -> None:
        self._store = store
        self._settings = settings
        self._kinds = kinds
        self._stop = stop
        self._liveness_file = liveness_file(settings)
        self._room = True
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._log = logging.LoggerAdapter(log, {"worker_id": self.worker_id})

    def run(self) -> None:
        """Work until told to stop."""
        self._log.info("ready")
        while not self._stop.is_set():
            self._touch()
            claim = self._next_claim()
            if claim is None:
                self._stop.wait(self._settings.poll_seconds)
                continue
            Run(
                self._store,
                self._settings,
                claim,
                runner=self._kinds[claim.job.kind],
                stop=self._stop,
                alive=self._touch,
            ).execute()
        self._log.info("stopped")

    def _next_claim(self) -> Claim | None:
        try:
            for job in self._store.recover_expired():
                log.warning(
                    "took a job from a lost worker: %s",
                    job.status,
                    extra={"worker_id": self.worker_id, "job_id": job.id, "attempt": job.attempt},
                )
            if not self._has_room():
                return None
            lease = timedelta(seconds=self._settings.lease_seconds)
            return self._store.claim(self.worker_id, list(self._kinds), lease)
        except DATABASE_AWAY as error:
            self._log.warning("cannot use the job table, will try again: %s", error)
            return None

    def _has_room(self) -> bool:
        """Whether a run could write a checkpoint; said once when it becomes false."""
        root, needed = self._settings.artifact_root, self._settings.min_free_bytes
        root.mkdir(parents=True, exist_ok=True)
        had_room, self._room = self._room, shutil.disk_usage(root).free >= needed
        if had_room and not self._room:
            self._log.warning(
                "claiming no job while %s has less than %d MB free: free some, or lower "
                "PPGSSL_MIN_FREE_BYTES",
                root,
                needed // 10**6,
            )
        return self._room

    def _touch(self) -> None:
        self._liveness_file.touch()


def serve(settings: Settings, kinds: Mapping[str, str] = KINDS) -> None:
    """Run a worker in this process until SIGTERM or SIGINT. Call from the main thread."""
    configure_logging(settings.log_level)
    stop = StopRequest()

    def receive(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, receive)
    engine = open_database(settings.database)
    migrate(engine)
    Worker(JobStore(engine), settings, kinds=kinds, stop=stop).run()
    engine.dispose()


def main() -> None:
    """Run a worker with the settings of the environment; exit 2 where they are wrong."""
    try:
        settings = load_settings()
        check_device(settings.device)
        check_database(settings.database)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USAGE)
    serve(settings)


if __name__ == "__main__":
    main()
