"""What the service answers, typed. A newer service may send more; it is left out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ppgssl.html import facts_table

FINISHED = frozenset({"succeeded", "failed", "cancelled"})
SINCE_ADDED = dict.fromkeys(("stage", "learning_rate", "device_memory_bytes", "device_utilisation"))
"""What the progress of older services does not have."""

Floats = npt.NDArray[np.float32]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: a training run in its epochs, other jobs in their stages."""

    epoch: int | None
    epochs: int | None
    step: int
    steps: int
    fraction: float
    eta_s: float | None
    windows_per_s: float | None
    learning_rate: float | None
    device_memory_bytes: int | None
    device_utilisation: float | None
    stage: str | None


@dataclass(frozen=True, slots=True)
class Best:
    """The best checkpoint so far."""

    epoch: int
    step: int
    val_loss: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed; `code` is stable."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was asked for. Times in UTC."""

    id: str
    kind: str
    name: str | None
    status: str
    dataset: str | None
    config: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    progress: Progress | None
    best: Best | None
    warnings: list[str]
    error: Failure | None
    metadata: dict[str, Any]
    cloned_from: str | None

    @property
    def is_finished(self) -> bool:
        """Nothing will change it any more."""
        return self.status in FINISHED

    def _repr_html_(self) -> str:
        facts = {
            "name": self.name,
            "dataset": self.dataset,
            "status": self.status,
            "best": self.best and f"val loss {self.best.val_loss}, epoch {self.best.epoch}",
            "error": self.error and f"{self.error.code}: {self.error.message}",
            "warnings": self.warnings,
        }
        share = None if self.progress is None else self.progress.fraction
        return facts_table(f"{self.kind} {self.id}", facts, share=share)


@dataclass(frozen=True, slots=True)
class LossPoint:
    """One point of the loss history; a value is None where it was inf or nan."""

    step: int
    epoch: int
    split: str
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job: status, progress, losses, checkpoint or warning."""

    id: int
    type: str
    data: dict[str, Any]

    @property
    def is_terminal(self) -> bool:
        """No event follows this one."""
        return self.type == "status" and self.data["status"] in FINISHED


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's output."""

    line: int
    attempt: int
    time: datetime
    text: str


@dataclass(frozen=True, slots=True)
class File:
    """A file to download; size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint: best, last or epoch-N."""

    name: str
    step: int
    epoch: int
    val_loss: float | None
    created_at: datetime
    files: list[File]


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder that can embed, under its job's id and its aliases."""

    id: str
    checkpoint: str
    aliases: list[str]
    sha256: str
    fs_hz: float
    window_samples: int
    embedding_dim: int


@dataclass(frozen=True, slots=True)
class DatasetFigures:
    """A dataset folder of the service; `error` where it is damaged, and then nothing else."""

    name: str
    fs_hz: float | None
    window_samples: int | None
    counts: dict[str, int]
    error: Failure | None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings (N, D) and signal quality (N,) from 0 to 1, float32, in the windows' order.

    A window that could not be embedded has NaN in its row, and its reason in `faults`.
    """

    embedding: Floats
    quality: Floats
    faults: dict[int, str]


@dataclass(frozen=True, slots=True)
class SegmentEmbeddings:
    """A row per segment: embeddings (R, D) and quality (R,), float32, in order.

    `index` (R,) is the window that a segment is of, `start_s` (R,) where in it the segment begins.
    A window that could not be embedded has no row, but its reason in `faults`.
    """

    index: npt.NDArray[np.int64]
    start_s: npt.NDArray[np.float64]
    embedding: Floats
    quality: Floats
    faults: dict[int, str]


def record(kind: type[Record], data: Mapping[str, Any], **made: Any) -> Record:
    """A record of the members that it knows; a newer service may send more."""
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    return kind(**{name: made.get(name, data[name]) for name in names})


def parse_time(text: str | None) -> datetime | None:
    """A time in UTC."""
    return None if text is None else datetime.fromisoformat(text)


def failure_record(data: Mapping[str, Any] | None) -> Failure | None:
    """Why something failed; None where it did not."""
    return None if data is None else record(Failure, data)


def job_record(data: Mapping[str, Any]) -> Job:
    """A job."""
    progress, best = data["progress"], data["best"]
    return record(
        Job,
        {"cloned_from": None, **data},
        created_at=parse_time(data["created_at"]),
        started_at=parse_time(data["started_at"]),
        finished_at=parse_time(data["finished_at"]),
        progress=progress and record(Progress, SINCE_ADDED | progress),
        best=best and record(Best, best),
        error=failure_record(data["error"]),
    )


def loss_point_record(data: Mapping[str, Any]) -> LossPoint:
    """A point of the loss history."""
    keys = ("step", "epoch", "split")
    values = {name: value for name, value in data.items() if name not in keys}
    return LossPoint(data["step"], data["epoch"], data["split"], values)


def checkpoint_record(data: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint and its files."""
    files = [record(File, file) for file in data["files"]]
    return record(Checkpoint, data, files=files, created_at=parse_time(data["created_at"]))


def log_line_record(data: Mapping[str, Any]) -> LogLine:
    """A line of a log."""
    return record(LogLine, data, time=parse_time(data["time"]))


def model_record(data: Mapping[str, Any]) -> Model:
    """An encoder."""
    return record(Model, data)


def dataset_record(data: Mapping[str, Any]) -> DatasetFigures:
    """A dataset folder."""
    return record(DatasetFigures, data, error=failure_record(data["error"]))


def listed_files(report: Mapping[str, Any]) -> list[File]:
    """The files of a report."""
    return [record(File, file) for file in report["files"]]
