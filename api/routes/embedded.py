"""What a job embedded: a summary as JSON, and the Parquet file to download."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from api.dependencies import JobDep, SettingsDep, StoreDep
from api.downloads import download
from api.negotiation import negotiate
from api.problems import ProblemError
from api.results import result_files
from api.routes.checkpoints import BINARY
from api.routes.jobs import CONFLICT, NOT_FOUND
from api.routes.reports import GONE, JSON
from api.schemas import EmbeddedRead, ProblemRead
from ppgssl.jobs.kinds import EMBEDDINGS_FILE, EMBEDDINGS_SUMMARY, JobKind
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job

router = APIRouter(prefix="/jobs/{job_id}/embeddings", tags=["embeddings"])

PARQUET = "application/vnd.apache.parquet"

FILE: dict[int | str, dict[str, Any]] = {**BINARY, 200: {"content": {PARQUET: {}}}}
EITHER: dict[int | str, dict[str, Any]] = {
    **FILE,
    200: {"model": EmbeddedRead, "content": {PARQUET: {}}},
    406: {"model": ProblemRead},
}


@router.head("", include_in_schema=False)
@router.get("", responses=NOT_FOUND | CONFLICT | GONE | EITHER, response_class=Response)
def read_embedded(
    job: JobDep,
    request: Request,
    store: StoreDep,
    settings: SettingsDep,
    format: Literal["json", "parquet"] | None = None,
) -> Response:
    """The summary or the file of a job that embedded: as `format` says, else as `Accept` does."""
    asked_for = {"json": JSON, "parquet": PARQUET, None: request.headers.get("accept", "*/*")}
    if negotiate(asked_for[format], (JSON, PARQUET)) == PARQUET:
        return send_file(job, request, store, settings)
    return JSONResponse(summary_of(job, store, settings))


@router.head("/{file}", include_in_schema=False)
@router.get("/{file}", responses=NOT_FOUND | CONFLICT | GONE | FILE, response_class=Response)
def read_embeddings_file(
    job: JobDep, file: str, request: Request, store: StoreDep, settings: SettingsDep
) -> Response:
    """The Parquet file, whole or a range of it."""
    if file != EMBEDDINGS_FILE:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "file_not_found",
            f"the embeddings of job {job.id} have no file {file!r}; they have {EMBEDDINGS_FILE}",
        )
    return send_file(job, request, store, settings)


def send_file(job: Job, request: Request, store: JobStore, settings: Settings) -> Response:
    """The Parquet file, under the name by which it was summarised."""
    (listed,) = summary_of(job, store, settings)["files"]
    return download(
        embedded_files(job, store, settings)[EMBEDDINGS_FILE].open("rb"),
        name=listed["name"],
        size=listed["size"],
        sha256=listed["sha256"],
        request_headers=request.headers,
        media_type=PARQUET,
    )


def summary_of(job: Job, store: JobStore, settings: Settings) -> dict[str, Any]:
    """What the run said of its file."""
    return json.loads(embedded_files(job, store, settings)[EMBEDDINGS_SUMMARY].read_bytes())


def embedded_files(job: Job, store: JobStore, settings: Settings) -> dict[str, Path]:
    """The files of a finished job that embedded, by name.

    Raises:
        ProblemError: 404, jobs of this kind embed nothing; 410, the disk has them no more.
        JobStateError: The job has not succeeded (yet).
    """
    return result_files(
        job,
        store,
        settings,
        kind=JobKind.EMBED,
        what="embeddings",
        place=settings.embeddings_folder,
        whole=frozenset({EMBEDDINGS_FILE, EMBEDDINGS_SUMMARY}),
    )
