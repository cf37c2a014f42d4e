"""What goes over the wire as JSON; one class per resource, each made from its row.

Times are RFC 3339 in UTC. Nothing here asks a database or decides anything.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ppgssl.jobs.records import DEFAULT_MAX_ATTEMPTS
from ppgssl.jobs.tables import Job

Text = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
"""PostgreSQL stores no NUL."""


class Body(BaseModel):
    """A request body; unknown members are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ProblemRead(BaseModel):
    """RFC 9457, as every error is answered."""

    type: str
    title: str
    status: int
    code: str
    detail: str


# ---------------------------------------------------------------------------------------- jobs


class JobCreate(Body):
    """What is asked for."""

    kind: Literal["pretrain"] = "pretrain"
    dataset: Text = Field(description="Name of a dataset folder under the data root.")
    preset: Text | None = Field(
        default=None, description="Preset that `config` is laid over; none: the defaults."
    )
    config: dict[str, Any] = Field(default={}, description="Partial training config.")
    name: Text | None = Field(default=None, description="For people.")
    metadata: dict[Text, Any] = Field(default={}, description="Kept and returned as it is.")
    priority: int = Field(default=0, ge=-1000, le=1000, description="Higher runs first.")
    max_attempts: int = Field(
        default=DEFAULT_MAX_ATTEMPTS, ge=1, le=100, description="Tries, where a worker is lost."
    )
    max_runtime_s: float | None = Field(
        default=None, gt=0, description="Longest time of running, over all attempts, seconds."
    )


class ProgressRead(BaseModel):
    """Where a run is."""

    epoch: int
    epochs: int
    step: int
    steps: int
    fraction: float
    eta_s: float | None
    windows_per_s: float | None


class BestRead(BaseModel):
    """The best checkpoint so far."""

    epoch: int
    step: int
    val_loss: float | None


class ErrorRead(BaseModel):
    """Why something failed; `code` is stable."""

    code: str
    message: str


class JobRead(BaseModel):
    """A job."""

    id: str
    kind: str
    name: str | None
    status: str = Field(
        description="queued, running, stalled, paused, succeeded, failed or cancelled."
    )
    requested_action: str | None = Field(description="Asked of the worker and not done yet.")
    dataset: str | None
    config: dict[str, Any] = Field(description="The whole config, defaults included.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    max_attempts: int
    max_runtime_s: float | None
    priority: int
    plan: dict[str, Any] | None = Field(description="Sizes, device and precision of the run.")
    progress: ProgressRead | None
    best: BestRead | None
    warnings: list[str]
    error: ErrorRead | None
    metadata: dict[str, Any]

    @classmethod
    def of(cls, job: Job, now: datetime) -> Self:
        """The job as it is shown at `now`."""
        return cls.model_validate(
            {
                **{name: getattr(job, name) for name in cls.model_fields.keys() - {"metadata"}},
                "status": job.shown_status(now),
                "metadata": job.user_metadata,
            }
        )
