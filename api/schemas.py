"""What goes over the wire as JSON; one class per resource, each made from its row.

Times are RFC 3339 in UTC. Nothing here asks a database or decides anything.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ppgssl.jobs.records import DEFAULT_MAX_ATTEMPTS
from ppgssl.jobs.tables import Job, LogLine

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
    last_event: int = Field(description="Number of its newest event, to watch on from.")

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


class LossPointRead(BaseModel):
    """One point of the loss history: the losses by name, and per epoch the health figures."""

    model_config = ConfigDict(extra="allow")

    step: int
    epoch: int
    split: str
    total: float | None


class EventRead(BaseModel):
    """What an event carries; its members depend on its type."""

    model_config = ConfigDict(extra="allow")


class LogLineRead(BaseModel):
    """One line of a run's output."""

    line: int
    attempt: int
    time: datetime
    text: str

    @classmethod
    def of(cls, row: LogLine) -> Self:
        """The line of a row."""
        return cls(line=row.line, attempt=row.attempt, time=row.created_at, text=row.text)


# --------------------------------------------------------------------------- checkpoints, encoders


class CheckpointFileRead(BaseModel):
    """A file of a checkpoint; `size` in bytes, `sha256` in hex."""

    name: str
    size: int
    sha256: str


class CheckpointRead(BaseModel):
    """A checkpoint and its files."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="best, last or epoch-N.")
    step: int
    epoch: int
    val_loss: float | None
    created_at: datetime
    files: list[CheckpointFileRead]


class ModelRead(BaseModel):
    """An encoder that can embed."""

    id: str = Field(description="Id of the job that trained it, or `default`.")
    checkpoint: str | None
    aliases: list[str] = Field(description="Names that point at a checkpoint of this job.")
    name: str | None
    dataset: str | None
    step: int | None
    epoch: int | None
    val_loss: float | None
    fs_hz: float
    window_samples: int
    embedding_dim: int
    sha256: str = Field(description="Of the encoder's weights.")
    created_at: datetime | None


class AliasWrite(Body):
    """What an alias points at."""

    job_id: Text
    checkpoint: Text = "best"


class AliasRead(BaseModel):
    """An alias and what it points at."""

    model_config = ConfigDict(from_attributes=True)

    alias: str
    job_id: str
    checkpoint: str
    updated_at: datetime


class DatasetRead(BaseModel):
    """A dataset folder; where it is damaged, its error and nothing else."""

    name: str
    fs_hz: float | None = None
    window_samples: int | None = None
    counts: dict[str, int] = {}
    preprocessing: dict[str, Any] = {}
    subjects: dict[str, int] | None = None
    recordings: int | None = None
    recorded_s: float | None = None
    padded: int | None = Field(default=None, description="Windows that are only partly real.")
    rejected: dict[str, int] | None = Field(default=None, description="Windows, by reason.")
    warnings: list[str] = []
    error: ErrorRead | None = None


class EmbeddingRead(BaseModel):
    """A window's embedding and quality from 0 to 1, or the error that stands in their place."""

    index: int
    embedding: list[float] | str | None = None
    quality: float | None = None
    error: ErrorRead | None = None


class EmbeddingsRead(BaseModel):
    """Embeddings in the windows' order."""

    data: list[EmbeddingRead]
    model: str
    encoder_sha256: str
    dim: int
