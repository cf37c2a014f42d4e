"""What goes into the job store and comes out of it, besides the rows of `ppgssl.jobs.tables`.

Plain frozen dataclasses: no database, no HTTP. All of them are JSON by `dataclasses.asdict`,
but for the rows they carry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ppgssl.jobs.status import RETRIED
from ppgssl.jobs.tables import Checkpoint, Job

Item = TypeVar("Item")

DEFAULT_MAX_ATTEMPTS = 3  # a reboot or two must not lose a job; a run that always dies must end


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is asked for; `config` is the whole config, validated.

    `request` is what a repeated request is told by, where `config` depends on more than on it.
    """

    kind: str
    config: dict[str, Any]
    dataset: str | None = None
    name: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    max_runtime_s: float | None = None
    request: dict[str, Any] | None = None
    cloned_from: str | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are listed; None lets all pass. `status` is a status as shown, also `stalled`."""

    status: str | None = None
    kind: str | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A piece of a list. Ask again after the last item where there is more."""

    items: list[Item]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """Proof that a worker holds a job; every write to a running job carries it."""

    job_id: str
    token: str
    worker_id: str
    attempt: int
    number: int
    """Of the claim's own event: every later claim of the job has a higher one."""

    @property
    def log_context(self) -> dict[str, str | int]:
        """What every log line that concerns the lease's job carries."""
        return {"worker_id": self.worker_id, "job_id": self.job_id, "attempt": self.attempt}


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that was just claimed, and the lease on it."""

    job: Job
    lease: Lease


@dataclass(frozen=True, slots=True)
class LossPoint:
    """One point of the loss history: values of one step and split, by name."""

    step: int
    epoch: int
    split: str
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """A file of a checkpoint folder."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """A checkpoint that was written; `folder` is relative to the artifact root."""

    name: str
    step: int
    epoch: int
    val_loss: float | None
    folder: str
    files: Sequence[CheckpointFile]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did since the last report; recorded in one transaction, or not at all.

    Recording it again changes nothing: a commit may have been done whose answer never came. Log
    lines may well say the same twice, so they are told by `lines_before`, the number of the job's
    last line when they were written; None appends them in any case.
    """

    plan: dict[str, Any] | None = None
    points: Sequence[LossPoint] = ()
    progress: dict[str, Any] | None = None
    checkpoints: Sequence[NewCheckpoint] = ()
    warnings: Sequence[str] = ()
    log_lines: Sequence[str] = ()
    lines_before: int | None = None

    @property
    def is_empty(self) -> bool:
        """There is nothing to record."""
        pieces = (self.points, self.checkpoints, self.warnings, self.log_lines)
        return self.plan is None and self.progress is None and not any(pieces)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a run ended badly; `code` is a `Reason` or a code of `ppgssl.errors`."""

    code: str
    message: str

    @property
    def is_retryable(self) -> bool:
        """Another attempt could do better."""
        return self.code in RETRIED


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder that can embed: a job's best checkpoint."""

    job: Job
    checkpoint: Checkpoint
