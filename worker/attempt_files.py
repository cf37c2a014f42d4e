"""The files of one claim: what its run writes, what of it is published, and what can go.

A run writes into the folder of its claim, where no other run of the job ever writes. A checkpoint
is published by the row of the job table that names its folder, and by nothing else; only the holder
of the lease writes such a row. So a run that was frozen and wakes spoils nothing, and what no row
names can go, unless its own run is about to publish it. The finished parts of a run that embeds
never change, so the next claim links them into its own folder and goes on behind them; so it does
with the reconstructions of a training run.
"""

import logging
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from ppgssl.inference import bulk_parts
from ppgssl.jobs.database import DATABASE_AWAY
from ppgssl.jobs.errors import JobNotFoundError
from ppgssl.jobs.kinds import CHECKPOINTS_FOLDER, PARTS_FOLDER
from ppgssl.jobs.records import Lease, NewCheckpoint
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.training import reconstruction_files

log = logging.getLogger(__name__)


class AttemptFiles:
    """What a worker does with the folder of the claim that `lease` is of."""

    def __init__(self, store: JobStore, settings: Settings, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._log = logging.LoggerAdapter(log, lease.log_context)
        self._root = settings.artifact_root.resolve()
        self._attempts = settings.attempts_folder(lease.job_id).resolve()
        self._published: set[Path] = set()
        self.folder = settings.attempt_folder(lease.job_id, lease.number).resolve()
        """Where the run writes."""

    def create(self) -> None:
        """Make the folder, take over what can be gone on with, remove what else is unpublished.

        Raises:
            OSError: The disk refuses.
        """
        shutil.rmtree(self.folder, ignore_errors=True)  # of a job table that was lost
        self.folder.mkdir(parents=True)
        earlier = self._earlier()
        for folder, take_over in (
            (PARTS_FOLDER, bulk_parts.take_over),
            (reconstruction_files.FOLDER, reconstruction_files.take_over),
        ):
            take_over([attempt / folder for attempt in earlier], self.folder / folder)
        self._tidy_earlier(self._named())

    def last_checkpoint(self) -> Path | None:
        """Folder of the published checkpoint that the job continues from; None before its first."""
        rows = self._store.checkpoints(self._lease.job_id)
        return next((self._root / row.folder for row in rows if row.name == "last"), None)

    def remove_replaced(self, published: Sequence[NewCheckpoint]) -> None:
        """Remove what no row names any more, now that these have been published."""
        self._published |= {self._root / checkpoint.folder for checkpoint in published}
        named = self._named()
        for folder in self._published - named:
            shutil.rmtree(folder, ignore_errors=True)
        self._published &= named
        self._tidy_earlier(named)

    def leave(self) -> None:
        """Remove what was not published; call once the run has ended, even without the lease."""
        try:
            remove_unnamed(self.folder, self._named())
        except JobNotFoundError:  # deleted while this worker was frozen
            shutil.rmtree(self.folder, ignore_errors=True)
        except DATABASE_AWAY as error:
            self._log.warning("%s is left for others to tidy up: %s", self.folder, error)

    def _named(self) -> set[Path]:
        rows = self._store.checkpoints(self._lease.job_id)
        return {self._root / row.folder for row in rows}

    def _tidy_earlier(self, named: Collection[Path]) -> None:
        for attempt in self._earlier():
            remove_unnamed(attempt, named)
            if not any(folder.is_relative_to(attempt) for folder in named):
                shutil.rmtree(attempt, ignore_errors=True)

    def _earlier(self) -> list[Path]:
        """Earlier claims', in order: a worker that was frozen must not touch its successor's."""
        return sorted(
            attempt
            for attempt in self._attempts.iterdir()
            if attempt.name.isdecimal() and int(attempt.name) < self._lease.number
        )


def remove_unnamed(attempt: Path, named: Collection[Path]) -> None:
    """Remove those checkpoints of an attempt that are not named."""
    for folder in attempt.glob(f"{CHECKPOINTS_FOLDER}/*"):
        if folder not in named:
            shutil.rmtree(folder, ignore_errors=True)
