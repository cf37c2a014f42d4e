"""The tables: jobs, what happened to them, what they left, what is to be removed, names, API keys.

Those of webhooks stand in `ppgssl.jobs.webhook_tables`.

Rows come out of the store detached: read them freely, changing them changes nothing. Migrations
live in `ppgssl/jobs/migrations`; a test holds the two together.

A job's rows are numbered per job (`event.id`, `log_line.line`) by counters in the job's own row,
taken under its lock, so that a reader who has seen number n never misses a smaller one.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, Float, ForeignKey, Index, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from ppgssl.jobs.roles import Role
from ppgssl.jobs.status import STALLED, Action, EventType, JobStatus

type_map = {dict[str, Any]: JSON(none_as_null=True), list[str]: JSON(none_as_null=True)}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time, also on SQLite, which stores none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: only aware times are taken."""
        assert value is None or value.tzinfo is not None, f"naive time {value}"
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: always aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _values(enum: type[StrEnum]) -> list[str]:
    return [word.value for word in enum]


def words_of(enum: type[StrEnum]) -> Enum:
    """A column of the enum's values as text, so that a new word needs no migration."""
    return Enum(
        enum,
        native_enum=False,
        create_constraint=False,
        length=16,
        values_callable=_values,
    )


class Base(DeclarativeBase):
    """Common to all tables; constraints are named so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = type_map


def _job_key() -> Mapped[int]:
    return mapped_column(ForeignKey("jobs.seq", ondelete="CASCADE"), primary_key=True)


class Job(Base):
    """One run that was asked for, from its creation to its end."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "status", "priority", "seq"),
        Index(None, "lease_expires_at"),
        Index(None, "finished_at"),
        Index(None, "tidied_at", "finished_at"),
        Index(None, "kind", "status", "attempt"),  # holds all that the jobs' figures count
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(primary_key=True)
    """Order of creation; first in, first out within a priority."""
    id: Mapped[str] = mapped_column(String(40), unique=True)
    """What the outside calls the job."""

    kind: Mapped[str] = mapped_column(String(40))
    name: Mapped[str | None]
    dataset: Mapped[str | None] = mapped_column(String(255), index=True)
    config: Mapped[dict[str, Any]]
    """The whole config, as it was validated on creation."""
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata")
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    """Of what was asked for, to tell a repeated request from another one with the same key."""
    request: Mapped[dict[str, Any] | None]
    """What was asked for, before it was completed to `config`; None for jobs of older versions."""
    cloned_from: Mapped[str | None] = mapped_column(String(40))
    """Id of the job that this one is a changed copy of; that one may be gone."""

    status: Mapped[JobStatus] = mapped_column(words_of(JobStatus))
    requested_action: Mapped[Action | None] = mapped_column(words_of(Action))
    """Asked of the worker that runs the job; empty again once done."""
    priority: Mapped[int]
    """Higher runs first."""
    attempt: Mapped[int]
    """Counts from 1 with the first claim; a run that dies makes the next claim another attempt."""
    keeps_attempt: Mapped[bool]
    """The next claim continues this attempt: it was paused or handed back, it did not die."""
    max_attempts: Mapped[int]
    max_runtime_s: Mapped[float | None] = mapped_column(Float)
    """Limit on `ran_s`."""
    ran_s: Mapped[float] = mapped_column(Float)
    """Time spent running before the present claim, over all claims."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime())
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Of the first claim."""
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Of the present or last claim."""
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    tidied_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """When what its runs left unpublished was removed, once it had finished."""

    worker_id: Mapped[str | None] = mapped_column(String(120))
    lease_token: Mapped[str | None] = mapped_column(String(64))
    """Fence: only its holder may write to a running job."""
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    plan: Mapped[dict[str, Any] | None]
    """Of the run: epochs, steps, windows, device, precision, parameters."""
    progress: Mapped[dict[str, Any] | None]
    """epoch, epochs, step, steps, fraction, eta_s, windows_per_s, the device's load."""
    best: Mapped[dict[str, Any] | None]
    """epoch, step, val_loss of the best checkpoint so far."""
    warnings: Mapped[list[str]]
    error: Mapped[dict[str, Any] | None]
    """code and message of what ended a failed job."""

    last_event: Mapped[int]
    """Number of the job's newest event; 0 before the first."""
    last_line: Mapped[int]
    """Number of the job's newest log line; 0 before the first."""

    def shown_status(self, now: datetime) -> str:
        """The status as users see it: `stalled` while a running job's lease has run out."""
        expires_at = self.lease_expires_at
        if self.status is JobStatus.RUNNING and expires_at is not None and expires_at < now:
            return STALLED
        return self.status.value


class Loss(Base):
    """One point of a job's loss history; written once, never rewritten."""

    __tablename__ = "job_losses"
    __table_args__ = ({"sqlite_with_rowid": False},)  # the key is the table: half the size

    job_seq: Mapped[int] = _job_key()
    step: Mapped[int] = mapped_column(primary_key=True)
    split: Mapped[str] = mapped_column(String(8), primary_key=True)
    epoch: Mapped[int]
    total: Mapped[float | None] = mapped_column(Float)
    """`values["total"]` once more, to draw a curve without reading the rest."""
    values: Mapped[dict[str, Any]]
    """Loss components and health figures by name; null where one was inf or nan."""


class LossBlock(Base):
    """So many steps of one split of a job's loss history: how many points, and their extremes."""

    __tablename__ = "job_loss_blocks"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_seq: Mapped[int] = _job_key()
    split: Mapped[str] = mapped_column(String(8), primary_key=True)
    block: Mapped[int] = mapped_column(primary_key=True)
    """Number of the block; see `ppgssl.jobs.queries.loss_blocks`."""
    points: Mapped[int]
    first_step: Mapped[int]
    last_step: Mapped[int]
    lowest: Mapped[float | None] = mapped_column(Float)
    """Smallest finite `total`; null where there is none."""
    lowest_step: Mapped[int | None]
    highest: Mapped[float | None] = mapped_column(Float)
    highest_step: Mapped[int | None]


class Pace(Base):
    """A stretch of a job's run: how fast it went, and how loaded its device was."""

    __tablename__ = "job_pace"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_seq: Mapped[int] = _job_key()
    number: Mapped[int] = mapped_column(primary_key=True)
    """Counts from 0 within the job, without gaps; see `ppgssl.jobs.queries.pace`."""
    step: Mapped[int]
    """The stretch's last."""
    reports: Mapped[int]
    """How many reports of progress the stretch joins."""
    told_at: Mapped[datetime] = mapped_column(UtcDateTime())
    """When the last of them was written."""
    values: Mapped[dict[str, Any]]
    """epoch, learning_rate, windows_per_s, step_s, device_memory_bytes, device_utilisation."""


class Event(Base):
    """Something that happened to a job, as it is sent to those who watch."""

    __tablename__ = "job_events"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_seq: Mapped[int] = _job_key()
    id: Mapped[int] = mapped_column(primary_key=True)
    """Counts from 1 within the job, without gaps."""
    type: Mapped[EventType] = mapped_column(words_of(EventType))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    data: Mapped[dict[str, Any]]

    @property
    def is_terminal(self) -> bool:
        """No event follows this one."""
        return self.type is EventType.STATUS and JobStatus(self.data["status"]).is_finished


class LogLine(Base):
    """One line that a job's run wrote to its stdout or stderr."""

    __tablename__ = "job_logs"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_seq: Mapped[int] = _job_key()
    line: Mapped[int] = mapped_column(primary_key=True)
    """Counts from 1 within the job, without gaps."""
    attempt: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    text: Mapped[str]


class Checkpoint(Base):
    """What lies in one of a job's checkpoint folders; a newer one of the same name replaces it."""

    __tablename__ = "job_checkpoints"

    job_seq: Mapped[int] = _job_key()
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`best`, `last` or `epoch-N`."""
    job_id: Mapped[str] = mapped_column(String(40))
    attempt: Mapped[int]
    step: Mapped[int]
    epoch: Mapped[int]
    val_loss: Mapped[float | None] = mapped_column(Float)
    folder: Mapped[str]
    """Relative to the artifact root, with forward slashes."""
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """name, sha256 (hex) and size (bytes) of each file, by name."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class ModelAlias(Base):
    """A name such as `production` for a job's checkpoint; moves without a restart."""

    __tablename__ = "model_aliases"
    __table_args__ = (
        Index(None, "job_seq"),
        {"sqlite_with_rowid": False},
    )

    alias: Mapped[str] = mapped_column(String(120), primary_key=True)
    job_seq: Mapped[int] = mapped_column(ForeignKey("jobs.seq"))
    job_id: Mapped[str] = mapped_column(String(40))
    checkpoint: Mapped[str] = mapped_column(String(40))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())


class Removal(Base):
    """A folder that no row names any more and that is to be removed: written with the row's end.

    It stays until the folder is gone, so that a process that dies in between loses no track of it.
    """

    __tablename__ = "removals"

    folder: Mapped[str] = mapped_column(String(255), primary_key=True)
    """Relative to the artifact root, with forward slashes."""
    job_id: Mapped[str] = mapped_column(String(40))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime())


class ApiKey(Base):
    """A key that opens the API. The key itself is shown once, on creation, and stored nowhere."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """What a key is called where it is listed and revoked; no secret."""
    name: Mapped[str] = mapped_column(String(120))
    """Whose it is, in the words of whoever created it."""
    role: Mapped[Role] = mapped_column(words_of(Role))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """Of the key, in hex: 256 random bits cannot be guessed, so no slow hash is needed."""
    prefix: Mapped[str] = mapped_column(String(16))
    """How the key begins, to recognise it by."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Within minutes; it is not written with every request."""
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Since then the key opens nothing."""
