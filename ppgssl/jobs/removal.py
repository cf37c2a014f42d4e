"""Removing the folders that the job table gave up, and what runs left unpublished; nothing else.

It does not matter who does it, how many at once, or how often one is stopped in the middle: a
folder stays on the table's list until it is gone. No link is followed, so nothing beside the
artifact root is ever removed.
"""

import logging
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ppgssl.jobs.kinds import CHECKPOINTS_FOLDER
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Removal

log = logging.getLogger(__name__)


def finish_removals(store: JobStore, artifact_root: Path) -> Sequence[Removal]:
    """Remove every folder on the list; those that the disk refuses stay on it.

    Returns:
        What is gone now.
    """
    return [
        removal for removal in store.removals() if _finish(store, artifact_root.resolve(), removal)
    ]


def _finish(store: JobStore, root: Path, removal: Removal) -> bool:
    try:
        remove_folder(root, root / removal.folder)
    except OSError as error:
        log.warning(
            "cannot remove %s, will try again: %s",
            removal.folder,
            error,
            extra={"job_id": removal.job_id},
        )
        return False
    store.removed(removal.folder)
    return True


def tidy_attempts(store: JobStore, settings: Settings, job_id: str) -> Sequence[Path]:
    """Remove what the runs of a finished job left and no row names: their worker was killed.

    Checkpoints that rows name stay, and the last claim's report or embeddings, with their attempts.

    Returns:
        What was removed.

    Raises:
        JobNotFoundError: No such job (any more).
        OSError: The disk refuses.
    """
    root = settings.artifact_root.resolve()
    published = {root / row.folder for row in store.checkpoints(job_id)}
    claim = store.newest_claim(job_id)
    if claim is not None:
        results = (f(job_id, claim) for f in (settings.report_folder, settings.embeddings_folder))
        published |= {folder.resolve() for folder in results if folder.is_dir()}
    unpublished = list(_unpublished(settings.attempts_folder(job_id).resolve(), published))
    for path in unpublished:
        remove_folder(root, path)
    return unpublished


def _unpublished(attempts: Path, published: Collection[Path]) -> Iterator[Path]:
    """Attempts without anything published, and the rest's temporary and unnamed folders."""
    for attempt in sorted(attempts.glob("[0-9]*")):
        if not any(folder.is_relative_to(attempt) for folder in published):
            yield attempt
            continue
        yield from (path for path in sorted(attempt.glob(".*")) if path.is_dir())
        for checkpoint in sorted(attempt.glob(f"{CHECKPOINTS_FOLDER}/*")):
            if checkpoint not in published:
                yield checkpoint


def remove_folder(root: Path, folder: Path) -> None:
    """Remove a folder below `root` with all that is in it; one that is gone already is fine.

    A link in its place, or in it, is removed itself; what it leads to stays.

    Args:
        root: Resolved.
        folder: Below `root`, as it is written.

    Raises:
        OSError: The disk refuses, or there is a link on the way to the folder.
    """
    way = folder.parent
    if folder.name == ".." or way.resolve() != way or not way.is_relative_to(root):
        raise PermissionError(f"{folder} does not lie in {root}, or only by a link")
    while os.path.lexists(folder):
        with suppress(FileNotFoundError):  # another process removes it too: go on with the rest
            if folder.is_symlink():
                folder.unlink()
            else:
                shutil.rmtree(folder)
