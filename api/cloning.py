"""From a job and what should be different to the request for another job. Nothing is queued here.

A clone is asked for as the job was: presets, models and datasets mean what they mean now. Only of
jobs that an older version queued is nothing known but the completed config.
"""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.schemas import JobChanges, JobCreate
from ppgssl.config import merge
from ppgssl.jobs.tables import Job

SETTLED = frozenset({"encoder", "encoders_beside"})
"""What a submission adds to an evaluation's config, and nobody asks for."""


def changed(job: Job, changes: JobChanges) -> JobCreate:
    """What `job` was asked for with, with the changes laid over it; `config` key by key.

    Raises:
        RequestValidationError: Together they are not a request for a job.
    """
    asked, given = asked_for(job), changes.model_dump(exclude_unset=True)
    config = merge(asked["config"], given.pop("config", {}))
    try:
        return JobCreate.model_validate({**asked, **given, "config": config})
    except ValidationError as error:
        items = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(items) from error


def asked_for(job: Job) -> dict[str, Any]:
    """The request body that the job was, or could have been, asked for with."""
    if job.request is not None:
        return job.request
    return {
        "kind": job.kind,
        "dataset": job.dataset,
        "name": job.name,
        "metadata": job.user_metadata,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "max_runtime_s": job.max_runtime_s,
        "config": {key: value for key, value in job.config.items() if key not in SETTLED},
    }
