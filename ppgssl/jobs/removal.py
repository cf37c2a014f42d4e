"""Removing the folders that the job table gave up, and nothing else.

It does not matter who does it, how many at once, or how often one is stopped in the middle: a
folder stays on the table's list until it is gone. No link is followed, so nothing beside the
artifact root is ever removed.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

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
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except FileNotFoundError:
        if folder.exists():  # something in it was removed by another: go on next time
            raise
