"""What an evaluation found: its report as JSON or Markdown, and its files to download."""

import hashlib
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
from api.schemas import FileRead, ProblemRead, ReportRead
from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job

router = APIRouter(prefix="/jobs/{job_id}/report", tags=["reports"])

JSON = "application/json"
MARKDOWN = "text/markdown"
JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"
MEDIA_TYPES = {".json": JSON, ".md": MARKDOWN, ".png": "image/png"}

GONE: dict[int | str, dict[str, Any]] = {410: {"model": ProblemRead}}
EITHER: dict[int | str, dict[str, Any]] = {
    200: {"model": ReportRead, "content": {MARKDOWN: {"schema": {"type": "string"}}}},
    406: {"model": ProblemRead},
}


@router.get("", responses=NOT_FOUND | CONFLICT | GONE | EITHER, response_class=Response)
def read_report(
    job: JobDep,
    request: Request,
    store: StoreDep,
    settings: SettingsDep,
    format: Literal["json", "md"] | None = None,
) -> Response:
    """The report of a finished evaluation: as `format` says, else as `Accept` does."""
    files = report_files(job, store, settings)
    asked_for = {"json": JSON, "md": MARKDOWN, None: request.headers.get("accept", "*/*")}[format]
    if negotiate(asked_for, (JSON, MARKDOWN)) == MARKDOWN:
        return Response(files[MARKDOWN_FILE].read_bytes(), media_type=MARKDOWN)
    report = json.loads(files[JSON_FILE].read_bytes())
    described = [describe(path).model_dump() for path in files.values()]
    return JSONResponse({**report, "files": described})


@router.head("/{file}", include_in_schema=False)
@router.get("/{file}", responses=NOT_FOUND | CONFLICT | GONE | BINARY, response_class=Response)
def read_report_file(
    job: JobDep, file: str, request: Request, store: StoreDep, settings: SettingsDep
) -> Response:
    """One file of the report, such as a picture, whole or a range of it."""
    files = report_files(job, store, settings)
    if file not in files:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "file_not_found",
            f"the report of job {job.id} has no file {file!r}; it has {', '.join(files)}",
        )
    listed = describe(files[file])
    return download(
        files[file].open("rb"),
        name=listed.name,
        size=listed.size,
        sha256=listed.sha256,
        request_headers=request.headers,
        media_type=MEDIA_TYPES.get(files[file].suffix, "application/octet-stream"),
    )


def report_files(job: Job, store: JobStore, settings: Settings) -> dict[str, Path]:
    """The files of a finished evaluation's report, by name.

    Raises:
        ProblemError: 404, jobs of this kind leave no report; 410, the disk has it no more.
        JobStateError: The job has not succeeded (yet).
    """
    return result_files(
        job,
        store,
        settings,
        kind=JobKind.EVALUATE,
        what="report",
        place=settings.report_folder,
        whole=frozenset({JSON_FILE, MARKDOWN_FILE}),
    )


def describe(path: Path) -> FileRead:
    """Name, size and sha256; reports are small, so they are hashed when they are asked for."""
    content = path.read_bytes()
    return FileRead(name=path.name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
