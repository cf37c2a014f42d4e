"""Settings of both services, read from the environment with the prefix `PPGSSL_`.

The README's table is made from the descriptions here. Nothing is created or opened by reading them.
Seconds as `_seconds`, bytes as `_bytes`.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from ppgssl.errors import ConfigError
from ppgssl.jobs.kinds import EMBEDDINGS_FOLDER, JOBS_FOLDER, REPORT_FOLDER

DATABASE_FILE = "ppgssl.sqlite"


class Settings(BaseSettings):
    """What the API and the worker have to agree on, and what each of them needs besides."""

    model_config = SettingsConfigDict(env_prefix="PPGSSL_", env_ignore_empty=True, frozen=True)

    database_url: str = Field(
        default="",
        description="Job table: `sqlite:///FILE` or `postgresql://user:password@host/name`. "
        f"Empty: `{DATABASE_FILE}` in the artifact root.",
    )
    data_root: Path = Field(
        default=Path("data"), description="Folder of dataset folders; a job names one of them."
    )
    artifact_root: Path = Field(
        default=Path("artifacts"),
        description="Folder of what jobs leave, `jobs/<job id>/attempts/<claim>/`.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="An administrator's key, carried as `Authorization: Bearer KEY`; "
        "`ppgssl keys` makes others. Without any, the API is open to its own machine.",
    )
    allow_open_access: bool = Field(
        default=False,
        description="Let the API listen on other addresses than loopback without a key; only where "
        "something else guards the port.",
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    published_address: str = Field(
        default="",
        description="Address at which others reach the API where that is not PPGSSL_HOST, as for "
        "a container's port; without a key it must be loopback.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port the API listens on; 0 picks one."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda|cuda:\d+)$",
        description="Device for embeddings, and for jobs whose config says `auto`.",
    )
    max_body_bytes: int = Field(
        default=64 * 2**20, ge=1024, description="Largest request body that the API takes, bytes."
    )
    embedding_queue_bytes: int = Field(
        default=256 * 2**20,
        ge=1024,
        description="Embedding requests may hold so much memory with their bodies, bytes; beyond "
        "that they are answered 429.",
    )
    embedding_wait_seconds: float = Field(
        default=10.0,
        gt=0,
        description="An embedding request that would wait longer than this is answered 429 with "
        "`Retry-After`, seconds.",
    )
    encoder_cache_bytes: int = Field(
        default=2**30,
        ge=0,
        description="Encoders that are kept in memory may take so much of it, bytes; the least "
        "recently used leave first.",
    )
    preload_models: str = Field(
        default="",
        description="Models that the API loads when it starts, between commas; others are loaded "
        "when first asked for.",
    )
    rate_limit_per_minute: int = Field(
        default=6000,
        ge=0,
        description="Requests a minute that each key, or each address without one, may send; "
        "0: any number.",
    )
    webhook_hosts: str = Field(
        default="",
        description="Hosts that webhooks may be sent to, between commas: `hooks.example.org`, "
        "`*.example.org`, `http://receiver:9000` (plain HTTP), `10.0.0.0/8` (a private network "
        "that names may lead into). Empty: webhooks are off.",
    )
    poll_seconds: float = Field(
        default=1.0, gt=0, description="An idle worker looks for a job this often, seconds."
    )
    report_seconds: float = Field(
        default=0.5,
        gt=0,
        description="A busy worker writes losses and looks for requests this often, seconds.",
    )
    lease_seconds: float = Field(
        default=60.0,
        gt=0,
        description="A job whose worker was silent for this long is given to another, seconds.",
    )
    heartbeat_seconds: float = Field(
        default=10.0, gt=0, description="A worker renews its lease this often, seconds."
    )
    min_free_bytes: int = Field(
        default=256 * 2**20,
        ge=0,
        description="A worker claims no job while the artifact root's disk has less room than "
        "this, bytes: a run that cannot write its checkpoint would use up its attempts.",
    )
    cancel_grace_seconds: float = Field(
        default=5.0,
        ge=0,
        description="A cancelled run has this long to write a checkpoint until killed, seconds.",
    )
    stop_grace_seconds: float = Field(
        default=60.0,
        ge=0,
        description="The same for a run that is paused, or whose worker is told to stop, seconds.",
    )
    liveness_file: Path | None = Field(
        default=None,
        description="The worker touches this file while it is well; empty: "
        "`ppgssl-worker.alive` in the temporary folder.",
    )
    housekeeping_seconds: float = Field(
        default=30.0,
        gt=0,
        description="An API recovers jobs of lost workers, and removes what need not be kept, this "
        "often, seconds.",
    )
    keep_finished_days: float | None = Field(
        default=None,
        ge=0,
        description="A finished job is deleted after so many days, unless an alias points at it; "
        "empty: never.",
    )
    keep_finished_jobs: int | None = Field(
        default=None,
        ge=0,
        description="Of the finished jobs so many are kept, the newest, and those that an alias "
        "points at; empty: all.",
    )
    keep_epoch_checkpoints_days: float | None = Field(
        default=None,
        ge=0,
        description="A finished job loses its `epoch-N` checkpoints after so many days; `best`, "
        "`last` and those that an alias points at stay; empty: never.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log line that is written."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.heartbeat_seconds > self.lease_seconds / 2:
            raise ValueError(
                f"heartbeat_seconds ({self.heartbeat_seconds:g}) must be at most half of "
                f"lease_seconds ({self.lease_seconds:g}): one lost heartbeat must not lose the job"
            )
        return self

    @property
    def database(self) -> str:
        """URL of the job table, with the default filled in."""
        return self.database_url or f"sqlite:///{self.artifact_root / DATABASE_FILE}"

    @property
    def kept_encoders(self) -> Path:
        """Where the encoders lie that jobs need, each in a folder named by its sha256."""
        return self.artifact_root / "encoders"

    def job_folder(self, job_id: str) -> Path:
        """Where what a job leaves behind lies."""
        return self.artifact_root / JOBS_FOLDER / job_id

    def attempts_folder(self, job_id: str) -> Path:
        """Where the folders of a job's claims lie, each named by the claim's number."""
        return self.job_folder(job_id) / "attempts"

    def attempt_folder(self, job_id: str, claim: int) -> Path:
        """Where the run of one claim writes, and no other run of the job."""
        return self.attempts_folder(job_id) / f"{claim:08d}"

    def report_folder(self, job_id: str, claim: int) -> Path:
        """Where the report of an evaluation lies, once it is whole."""
        return self.attempt_folder(job_id, claim) / REPORT_FOLDER

    def embeddings_folder(self, job_id: str, claim: int) -> Path:
        """Where the embeddings of a job lie, once they are whole."""
        return self.attempt_folder(job_id, claim) / EMBEDDINGS_FOLDER


def load_settings() -> Settings:
    """The settings of the environment.

    Raises:
        ConfigError: A value is impossible; the message has one line per variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(item) for item in error.errors())) from error


def _explain(item: ErrorDetails) -> str:
    name = "".join(f"PPGSSL_{part}".upper() for part in item["loc"][:1]) or "settings"
    given = f", got {item['input']!r}" if item["loc"] else ""
    return f"{name}: {item['msg'].removeprefix('Value error, ')}{given}"
