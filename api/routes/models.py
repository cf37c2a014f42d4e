"""Encoders that can embed, and names for them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path

from api.dependencies import EmbedderDep, StoreDep
from api.embedder import Embedder
from api.encoders import DEFAULT_MODEL, NAME, checked_name, weights_sha256
from api.paging import After, Limit, PageRead, invalid_cursor, page_of
from api.problems import ProblemError
from api.routes.jobs import NOT_FOUND
from api.schemas import AliasRead, AliasWrite, ModelRead
from ppgssl.config import build_config
from ppgssl.jobs.errors import JobNotFoundError
from ppgssl.jobs.records import Model
from ppgssl.jobs.tables import Checkpoint, Job, ModelAlias

router = APIRouter(prefix="/models", tags=["models"])

JOB_PREFIX = "job_"


@router.get("")
def list_models(
    store: StoreDep, embedder: EmbedderDep, limit: Limit = 20, after: After = None
) -> PageRead[ModelRead]:
    """Encoders that can embed: `default`, then those of jobs, newest first."""
    first = [] if after is not None else [default_model(embedder)]
    try:
        page = store.models(after=None if after == DEFAULT_MODEL else after, limit=limit)
    except JobNotFoundError as error:
        raise invalid_cursor(after) from error
    aliases = store.aliases()
    shown = [*first, *(model_read(model, aliases) for model in page.items)]
    return page_of(shown, has_more=page.has_more, cursor=shown[-1].id if shown else None)


@router.get("/{model}", responses=NOT_FOUND)
def read_model(model: str, store: StoreDep, embedder: EmbedderDep) -> ModelRead:
    """The encoder that an alias or a job's id means now."""
    if model == DEFAULT_MODEL:
        return default_model(embedder)
    checkpoint = store.find_model(checked_name(model))
    return model_read(Model(store.get(checkpoint.job_id), checkpoint), store.aliases())


@router.put("/{alias}", responses=NOT_FOUND)
def put_alias(
    alias: Annotated[str, Path(description="Letters, digits, dot, dash and underscore.")],
    body: AliasWrite,
    store: StoreDep,
) -> AliasRead:
    """Point an alias at a job's checkpoint; embeddings use it from the next request on."""
    if NAME.fullmatch(alias) is None or alias.startswith(JOB_PREFIX) or alias == DEFAULT_MODEL:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "alias_invalid",
            f"{alias!r} cannot be an alias: use up to 64 letters, digits, dots, dashes and "
            f"underscores, not {DEFAULT_MODEL!r}, and nothing that begins with {JOB_PREFIX!r}",
        )
    return AliasRead.model_validate(store.set_alias(alias, body.job_id, body.checkpoint))


def model_read(model: Model, aliases: Sequence[ModelAlias]) -> ModelRead:
    """A job's encoder as it is shown."""
    return ModelRead.model_validate(
        {
            **_of_job(model.job),
            **_of_checkpoint(model.checkpoint),
            "aliases": [row.alias for row in aliases if row.job_id == model.job.id],
        }
    )


def _of_job(job: Job) -> dict[str, Any]:
    config = build_config(job.config)
    return {
        "id": job.id,
        "name": job.name,
        "dataset": job.dataset,
        "fs_hz": config.data.fs_hz,
        "window_samples": config.data.window_samples,
        "embedding_dim": config.model.latent_dim,
    }


def _of_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint": checkpoint.name,
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "val_loss": checkpoint.val_loss,
        "sha256": weights_sha256(checkpoint),
        "created_at": checkpoint.created_at,
    }


def default_model(embedder: Embedder) -> ModelRead:
    """The encoder that comes with ppgssl."""
    info = embedder.default_info()
    return ModelRead(
        id=DEFAULT_MODEL,
        checkpoint=None,
        aliases=[],
        name=None,
        dataset=None,
        step=None,
        epoch=None,
        val_loss=None,
        fs_hz=info.fs_hz,
        window_samples=info.window_samples,
        embedding_dim=info.embedding_dim,
        sha256=info.sha256,
        created_at=None,
    )
