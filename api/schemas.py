"""What goes over the wire as JSON; one class per resource, each made from its row.

Times are RFC 3339 in UTC. Nothing here asks a database or decides anything.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator

from api.encoders import DEFAULT_MODEL
from ppgssl.evaluation.settings import EvaluationSettings
from ppgssl.inference.embedding_map import MapMethod
from ppgssl.inference.settings import EmbeddingSettings
from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.records import DEFAULT_MAX_ATTEMPTS
from ppgssl.jobs.status import JobStatus
from ppgssl.jobs.tables import Job, LogLine, Pace
from ppgssl.jobs.webhook_tables import DeliveryStatus

Text = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
"""PostgreSQL stores no NUL."""


SETTLED_MODEL = "Alias, job id or `default`; which weights it means is settled on submission."
NO_PRESETS = "presets are training configs; leave it out and give `config`"
CUT_BY = frozenset({"window_seconds", "hop_seconds"})
"""Settings of an evaluation that say how recordings are cut into windows."""
CUT_ALREADY = (
    "the windows of a dataset are cut already; leave it out, or prepare the recordings anew"
)


def refuse(reason: str) -> Callable[[object], None]:
    """A check that lets nothing pass but null."""

    def check(value: object) -> None:
        if value is not None:
            raise ValueError(reason)

    return check


def refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """Refuse members that are no settings, naming those that are."""
    for name in given:
        if name not in known:
            raise ValueError(f"no setting is called {name!r}; there are {', '.join(sorted(known))}")


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


class NewJobBody(Body):
    """What every kind of job is asked for with."""

    dataset: Text = Field(description="Name of a dataset folder under the data root.")
    name: Text | None = Field(default=None, description="For people.")
    metadata: dict[Text, Any] = Field(default={}, description="Kept and returned as it is.")
    priority: int = Field(default=0, ge=-1000, le=1000, description="Higher runs first.")
    max_attempts: int = Field(
        default=DEFAULT_MAX_ATTEMPTS, ge=1, le=100, description="Tries, where a worker is lost."
    )
    max_runtime_s: float | None = Field(
        default=None, gt=0, description="Longest time of running, over all attempts, seconds."
    )


class PretrainCreate(NewJobBody):
    """A training run."""

    kind: Literal["pretrain"] = "pretrain"
    preset: Text | None = Field(
        default=None, description="Preset that `config` is laid over; none: the defaults."
    )
    config: dict[str, Any] = Field(default={}, description="Partial training config.")


class EvaluateConfig(EvaluationSettings):
    """Which encoder is evaluated, and how. The dataset's windows are taken as they are cut."""

    model: str = Field(default=DEFAULT_MODEL, description=SETTLED_MODEL)
    beside: dict[Text, Text] = Field(
        default={}, description="Further models to hold it against, by their names in the report."
    )
    window_seconds: Annotated[None, BeforeValidator(refuse(CUT_ALREADY))] = None  # pyright: ignore[reportIncompatibleVariableOverride]
    hop_seconds: Annotated[None, BeforeValidator(refuse(CUT_ALREADY))] = None  # pyright: ignore[reportIncompatibleVariableOverride]

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: object) -> object:
        if isinstance(given, dict):  # those of recordings have a reason of their own
            refuse_unknown(given.keys() - CUT_BY, cls.model_fields.keys() - CUT_BY)
        return given


class EvaluateCreate(NewJobBody):
    """An evaluation of a frozen encoder on a labelled dataset."""

    kind: Literal["evaluate"]
    preset: Annotated[None, BeforeValidator(refuse(NO_PRESETS))] = None
    config: EvaluateConfig = EvaluateConfig()


class EmbedConfig(EmbeddingSettings):
    """Which encoder embeds, and how recordings are read; a dataset's windows are cut already."""

    model: str = Field(default=DEFAULT_MODEL, description=SETTLED_MODEL)
    channel: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: object) -> object:
        if isinstance(given, dict):
            refuse_unknown(given.keys(), cls.model_fields.keys())
        return given


class EmbedCreate(NewJobBody):
    """Embeddings of every window of a dataset, or of the recordings in a folder."""

    kind: Literal["embed"]
    dataset: Text = Field(
        description="Name of a dataset folder, or of a folder of recordings, under the data root."
    )
    preset: Annotated[None, BeforeValidator(refuse(NO_PRESETS))] = None
    config: EmbedConfig = EmbedConfig()


AnyCreate = PretrainCreate | EvaluateCreate | EmbedCreate


class JobCreate(RootModel[Annotated[AnyCreate, Field(discriminator="kind")]]):
    """What is asked for, by `kind`; without one it is a training run."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, body: object) -> object:
        return {"kind": JobKind.PRETRAIN, **body} if isinstance(body, dict) else body


class JobChanges(Body):
    """What is different about a clone; what is left out stays as it was."""

    config: dict[str, Any] = Field(
        default={}, description="Laid over the original's config, key by key."
    )
    preset: Text | None = Field(default=None, description="Of a training run.")
    dataset: Text | None = None
    name: Text | None = None
    metadata: dict[Text, Any] | None = Field(default=None, description="All of it, not a part.")
    priority: int | None = None
    max_attempts: int | None = None
    max_runtime_s: float | None = None


class ProgressRead(BaseModel):
    """Where a run is."""

    epoch: int | None = Field(description="Of a training run.")
    epochs: int | None = Field(description="Of a training run.")
    step: int
    steps: int
    fraction: float
    eta_s: float | None
    windows_per_s: float | None
    learning_rate: float | None = Field(default=None, description="Of a training run.")
    device_memory_bytes: int | None = Field(
        default=None, description="In use on the CUDA device, by everybody on it."
    )
    device_utilisation: float | None = Field(
        default=None, description="Share of the time in which the CUDA device computed, 0 to 1."
    )
    stage: str | None = Field(
        default=None, description="What is being done, where that is no training."
    )


class PaceRead(BaseModel):
    """A stretch of a run: its last step, and how it went until then; null is what is not known."""

    step: int
    time: datetime = Field(description="When the stretch ended.")
    reports: int = Field(description="Reports of progress that it joins, about one a second.")
    epoch: int | None
    learning_rate: float | None
    windows_per_s: float | None = Field(description="Mean.")
    step_s: float | None = Field(description="Mean.")
    device_memory_bytes: int | None = Field(description="Highest.")
    device_utilisation: float | None = Field(description="Mean, 0 to 1.")

    @classmethod
    def of(cls, row: Pace) -> Self:
        """The stretch of a row."""
        return cls(step=row.step, time=row.told_at, reports=row.reports, **row.values)


class BestRead(BaseModel):
    """The best checkpoint so far."""

    epoch: int
    step: int
    val_loss: float | None


class ErrorRead(BaseModel):
    """Why something failed; `code` is stable."""

    code: str
    message: str


NOT_OF_THE_ROW = frozenset({"metadata", "preset"})
"""Members of a job that no column of the same name holds."""


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
    preset: str | None = Field(description="Preset that a training run's config was laid over.")
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
    cloned_from: str | None = Field(description="Id of the job that it is a changed copy of.")
    last_event: int = Field(description="Number of its newest event, to watch on from.")

    @classmethod
    def of(cls, job: Job, now: datetime) -> Self:
        """The job as it is shown at `now`."""
        return cls.model_validate(
            {
                **{name: getattr(job, name) for name in cls.model_fields.keys() - NOT_OF_THE_ROW},
                "preset": (job.request or {}).get("preset"),
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


class FileRead(BaseModel):
    """A file to download; `size` in bytes, `sha256` in hex."""

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
    files: list[FileRead]


class ReportRead(BaseModel):
    """What an evaluation found, as `report.json` has it, and the report's files."""

    model_config = ConfigDict(extra="allow")

    files: list[FileRead]


class EmbeddedRead(BaseModel):
    """What a job embedded, and the files to download."""

    windows: int
    rows: int = Field(description="Of the file: one per window, or per segment of it.")
    refused: int = Field(description="Windows without an embedding; the column `fault` says why.")
    unreadable: dict[str, str] = Field(description="Recordings that could not be read, and why.")
    skipped: dict[str, str] = Field(description="Files that are no usable recordings, and why.")
    granularity: str
    embedding_dim: int
    encoder_sha256: str
    encoder_fs_hz: float | None = Field(default=None, description="Rate that it was trained at.")
    encoder_window_s: float | None = Field(default=None, description="Length of its windows.")
    files: list[FileRead]


class NeighbourRead(BaseModel):
    """A row near what was asked about."""

    model_config = ConfigDict(from_attributes=True)

    row: int = Field(description="Place in the file, from 0.")
    recording_id: str
    start_s: float
    distance: float = Field(description="1 - cosine of the angle between the embeddings.")
    quality: float


class NearestRead(BaseModel):
    """The nearest rows, nearest first."""

    data: list[NeighbourRead]


class NearestToRead(BaseModel):
    """The nearest rows of each embedding asked about, in their order."""

    data: list[list[NeighbourRead]]


class NearestToAsk(Body):
    """Embeddings of the same encoder, whose nearest rows are looked for."""

    embeddings: list[list[float]] = Field(min_length=1, max_length=1000)
    encoder_sha256: Text | None = Field(
        default=None, description="As POST /v1/embeddings answers it; another encoder is refused."
    )
    k: int = Field(default=5, ge=1, le=100, description="How many for each.")


class EmbeddedWindowRead(BaseModel):
    """A row of what a job embedded, and the signal that it was made of."""

    row: int
    recording_id: str
    start_s: float = Field(description="In its recording.")
    quality: float | None
    fault: str | None = Field(description="Why it has no embedding.")
    known: dict[str, Any] = Field(description="What the dataset stores beside its signal.")
    begin_s: float = Field(description="Where in the recording the signal begins.")
    fs_hz: float
    samples: int = Field(description="Of the whole signal.")
    signal: list[tuple[float, float | None]] = Field(description="Seconds from there, and value.")


class NumbersRead(BaseModel):
    """A number for each mapped window."""

    kind: Literal["numbers"]
    values: list[float | None]


class GroupsRead(BaseModel):
    """Which group each mapped window is of."""

    kind: Literal["groups"]
    names: list[str]
    codes: list[int] = Field(description="Places in `names`; -1: of none.")


class MapRead(BaseModel):
    """Two coordinates for each mapped window, and what is known of it; all lists in one order."""

    method: MapMethod
    rows: int = Field(description="Of the file of embeddings; of many an even choice is mapped.")
    row: list[int] = Field(description="Places in that file, from 0.")
    x: list[float]
    y: list[float]
    columns: dict[str, NumbersRead | GroupsRead] = Field(
        description="Of the file, and what the dataset stores beside these windows."
    )


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
    labels: list[str] = Field(default=[], description="What can be probed by an evaluation.")
    preprocessing: dict[str, Any] = {}
    subjects: dict[str, int] | None = None
    recordings: int | None = None
    recorded_s: float | None = None
    padded: int | None = Field(default=None, description="Windows that are only partly real.")
    rejected: dict[str, int] | None = Field(default=None, description="Windows, by reason.")
    warnings: list[str] = []
    error: ErrorRead | None = None


class QualityRead(BaseModel):
    """Windows by signal quality; each count is of one of as many equal parts of 0 to 1."""

    counts: dict[str, list[int]] = Field(description="By split.")


class StoredWindowRead(BaseModel):
    """A window of a dataset, without its signals; the older layout knows less of it."""

    window_id: int
    split: str
    recording_id: str | None = None
    subject_id: str | None = None
    start_s: float | None = Field(default=None, description="In its recording.")
    valid_s: float | None = Field(default=None, description="Recorded; the rest is padding.")
    sqi: float | None = Field(default=None, description="Signal quality, 0 to 1.")
    labels: dict[str, Any] = {}


class SignalRead(StoredWindowRead):
    """A window with its signals as curves: seconds in the window, and value."""

    fs_hz: float
    samples: int = Field(description="Of the whole window.")
    signal: list[tuple[float, float | None]]
    denoised: list[tuple[float, float | None]]


class ReconstructedWindowRead(BaseModel):
    """A held-out window that is reconstructed after every epoch."""

    window_id: int
    recording_id: str | None = None
    subject_id: str | None = None
    start_s: float | None = Field(default=None, description="In its recording.")
    sqi: float | None = Field(default=None, description="Signal quality, 0 to 1.")


class ReconstructionsRead(BaseModel):
    """Reconstructions that there are: each of the epochs has one of each window."""

    epochs: list[int] = Field(description="Ascending; of a long run not all are kept.")
    windows: list[ReconstructedWindowRead]
    fs_hz: float | None
    samples: int | None = Field(description="Of a window.")


class ReconstructionRead(BaseModel):
    """Curves of a window, standardised: `input`, `target`, `output`, `residual`."""

    epoch: int
    index: int
    explained_variance: float | None = Field(description="Of the target, by the output.")
    curves: dict[str, list[tuple[float, float | None]]] = Field(
        description="Seconds in the window, and value; the residual is target - output."
    )
    spectra: dict[str, list[tuple[float, float | None]]] = Field(
        description="Hertz, and power density per hertz, of the whole window."
    )


class EmbeddingRead(BaseModel):
    """A window's embedding and quality from 0 to 1, or the error that stands in their place."""

    index: int = Field(description="Of the window in the request.")
    segment: int | None = Field(default=None, description="With granularity=segment.")
    start_s: float | None = Field(
        default=None, description="With granularity=segment: where it begins in the window."
    )
    embedding: list[float] | str | None = None
    quality: float | None = None
    error: ErrorRead | None = None


class EmbeddingsRead(BaseModel):
    """Embeddings in the windows' order."""

    data: list[EmbeddingRead]
    model: str
    encoder_sha256: str
    dim: int


# ------------------------------------------------------------------------------------ webhooks


class WebhookCreate(Body):
    """Whom to tell of jobs."""

    url: Annotated[str, Field(max_length=2048)] = Field(
        description="Of a host that PPGSSL_WEBHOOK_HOSTS lists."
    )
    events: list[JobStatus] = Field(
        default=list(JobStatus), min_length=1, description="Statuses it is told of; default: all."
    )
    description: Text | None = Field(default=None, description="For people.")


class WebhookRead(BaseModel):
    """Who is told of jobs."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    url: str
    events: list[JobStatus]
    description: str | None
    created_at: datetime
    disabled_at: datetime | None = Field(
        description="Since it answered 410 Gone it is told nothing."
    )


class WebhookCreated(WebhookRead):
    """A new webhook, and what its signatures are checked with."""

    secret: str = Field(description="Shown this once.")


class DeliveryRead(BaseModel):
    """Something that a webhook is told."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="The header `webhook-id` of every try.")
    type: str
    status: DeliveryStatus
    attempts: int
    last_status_code: int | None = Field(description="What the last try was answered.")
    last_error: str | None = Field(description="Why the last try was not answered.")
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    ended_at: datetime | None
