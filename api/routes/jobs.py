"""Jobs: submit, look, cancel, pause, resume, clone, delete."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query

from api.cloning import changed
from api.dependencies import JobDep, JobIdDep, SettingsDep, StoreDep
from api.paging import After, Limit, PageRead, invalid_cursor, page_of
from api.schemas import JobChanges, JobCreate, JobRead, ProblemRead, Text
from api.submission import new_job
from ppgssl.jobs.errors import JobNotFoundError
from ppgssl.jobs.records import JobFilter
from ppgssl.jobs.removal import finish_removals
from ppgssl.jobs.tables import Job

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ProblemRead}}
CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ProblemRead}}

router = APIRouter(prefix="/jobs", tags=["jobs"])

Status = Literal["queued", "running", "stalled", "paused", "succeeded", "failed", "cancelled"]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="A request repeated with the same key returns the job that the first created.",
    ),
]


@router.post("", status_code=HTTPStatus.CREATED, responses=NOT_FOUND | CONFLICT)
def create_job(
    body: JobCreate,
    store: StoreDep,
    settings: SettingsDep,
    idempotency_key: IdempotencyKey = None,
) -> JobRead:
    """Queue a training run, an evaluation or a bulk embedding; a free worker picks it up."""
    new = new_job(body.root, store, settings)
    return shown(store.create(new, idempotency_key=idempotency_key))


@router.get("")
def list_jobs(
    store: StoreDep,
    status: Status | None = None,
    kind: Annotated[Text | None, Query()] = None,
    dataset: Annotated[Text | None, Query()] = None,
    limit: Limit = 20,
    after: After = None,
) -> PageRead[JobRead]:
    """Jobs, newest first."""
    try:
        page = store.jobs(JobFilter(status, kind, dataset), after=after, limit=limit)
    except JobNotFoundError as error:
        raise invalid_cursor(after) from error
    return page_of(
        all_shown(page.items),
        has_more=page.has_more,
        cursor=page.items[-1].id if page.items else None,
    )


@router.get("/{job_id}", responses=NOT_FOUND)
def read_job(job: JobDep) -> JobRead:
    """One job."""
    return shown(job)


@router.post("/{job_id}/cancel", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND | CONFLICT)
def cancel_job(job_id: JobIdDep, store: StoreDep) -> JobRead:
    """Cancel a waiting job at once, a running one within seconds."""
    return shown(store.request_cancel(job_id))


@router.post("/{job_id}/pause", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND | CONFLICT)
def pause_job(job_id: JobIdDep, store: StoreDep) -> JobRead:
    """Pause a waiting job at once, a running one as soon as it has written a checkpoint."""
    return shown(store.request_pause(job_id))


@router.post("/{job_id}/resume", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND | CONFLICT)
def resume_job(job_id: JobIdDep, store: StoreDep) -> JobRead:
    """Queue a paused job again; it continues from its last checkpoint."""
    return shown(store.request_resume(job_id))


@router.post("/{job_id}/clone", status_code=HTTPStatus.CREATED, responses=NOT_FOUND | CONFLICT)
def clone_job(
    job: JobDep,
    store: StoreDep,
    settings: SettingsDep,
    changes: JobChanges = JobChanges(),  # noqa: B008  # the body may be left out
    idempotency_key: IdempotencyKey = None,
) -> JobRead:
    """Queue a job like this one, with changes; `config` is merged key by key."""
    body = changed(job, changes)
    new = new_job(body.root, store, settings, cloned_from=job.id)
    return shown(store.create(new, idempotency_key=idempotency_key))


@router.delete("/{job_id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND | CONFLICT)
def delete_job(job_id: JobIdDep, store: StoreDep, settings: SettingsDep) -> None:
    """Delete a finished job: its history, checkpoints and files. A second time it is not found."""
    store.delete(job_id)
    finish_removals(store, settings.artifact_root)


def shown(job: Job) -> JobRead:
    """The job as it is now."""
    return JobRead.of(job, datetime.now(UTC))


def all_shown(jobs: Sequence[Job]) -> list[JobRead]:
    """The jobs as they are now."""
    return [shown(job) for job in jobs]
