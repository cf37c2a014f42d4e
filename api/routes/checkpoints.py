"""A job's checkpoints: what there is, and their files to download."""

import os
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.dependencies import JobIdDep, SettingsDep, StoreDep
from api.downloads import download
from api.paging import After, Limit, PageRead, invalid_cursor, page_of
from api.problems import ProblemError
from api.routes.jobs import NOT_FOUND
from api.schemas import CheckpointRead
from ppgssl.jobs.errors import CheckpointNotFoundError
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore

router = APIRouter(prefix="/jobs/{job_id}/checkpoints", tags=["checkpoints"])

CHECKPOINT_NAME = re.compile(r"best|last|epoch-\d{1,9}")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
TRIES = 3  # `last` may be replaced between looking it up and opening it

BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}},
    206: {"description": "The range that was asked for."},
    304: {"description": "The file that the client has already."},
    416: {"description": "The range lies outside the file."},
}


@router.get("", responses=NOT_FOUND)
def list_checkpoints(
    job_id: JobIdDep, store: StoreDep, limit: Limit = 100, after: After = None
) -> PageRead[CheckpointRead]:
    """The job's checkpoints with size and sha256 of their files, by step."""
    found = store.checkpoints(job_id)
    start = 0
    if after is not None:
        known = [checkpoint.name for checkpoint in found]
        if after not in known:
            raise invalid_cursor(after)
        start = known.index(after) + 1
    shown = [CheckpointRead.model_validate(row) for row in found[start : start + limit]]
    return page_of(
        shown, has_more=len(found) > start + limit, cursor=shown[-1].name if shown else None
    )


@router.head("/{checkpoint}/{file}", include_in_schema=False)
@router.get("/{checkpoint}/{file}", responses=NOT_FOUND | BINARY, response_class=Response)
def read_file(
    job_id: JobIdDep,
    checkpoint: str,
    file: str,
    request: Request,
    store: StoreDep,
    settings: SettingsDep,
) -> Response:
    """One file of a checkpoint, whole or a range of it."""
    opened, listed = open_file(store, settings, job_id, checkpoint, file)
    return download(
        opened,
        name=file,
        size=listed["size"],
        sha256=listed["sha256"],
        request_headers=request.headers,
    )


def open_file(
    store: JobStore, settings: Settings, job_id: str, checkpoint: str, name: str
) -> tuple[BinaryIO, dict[str, Any]]:
    """A checkpoint's file and what is known of it; both belong to the same checkpoint.

    Raises:
        JobNotFoundError: No such job.
        CheckpointNotFoundError: No such checkpoint.
        ProblemError: 404, the checkpoint has no such file; 410, the disk has it not as listed.
    """
    if CHECKPOINT_NAME.fullmatch(checkpoint) is None:
        raise CheckpointNotFoundError(
            f"{checkpoint!r} is no checkpoint's name; expected best, last or epoch-N"
        )
    for _ in range(TRIES):
        row = store.checkpoint(job_id, checkpoint)
        listed = next((file for file in row.files if file["name"] == name), None)
        if listed is None or FILE_NAME.fullmatch(name) is None:
            known = ", ".join(file["name"] for file in row.files)
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "file_not_found",
                f"checkpoint {checkpoint!r} has no file {name!r}; it has {known}",
            )
        try:
            file = path_below(settings.artifact_root, row.folder, name).open("rb")
        except FileNotFoundError:
            continue
        if os.fstat(file.fileno()).st_size == listed["size"]:
            return file, listed
        file.close()
    raise ProblemError(
        HTTPStatus.GONE,
        "file_gone",
        f"{name} of checkpoint {checkpoint!r} is not on the disk as it is listed",
    )


def path_below(root: Path, folder: str, name: str) -> Path:
    """Where a checkpoint's file really is.

    Raises:
        ProblemError: 404, that is not below the artifact root.
    """
    path = (root / folder / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "file_not_found", f"{name!r} does not lie in the artifact root"
        )
    return path
