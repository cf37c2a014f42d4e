"""From a request to a job: completed, checked as a worker would, pinned to what it means now."""

import functools
from pathlib import Path
from typing import Any

from api.encoders import FoundEncoder, KeptEncoder, find_encoder, keep_encoder, use_newest
from api.schemas import (
    CUT_BY,
    AnyCreate,
    EmbedConfig,
    EvaluateConfig,
    EvaluateCreate,
    PretrainCreate,
)
from ppgssl.config import Config, build_config, merge, preset
from ppgssl.data.dataset import Dataset, open_dataset, resolve_dataset
from ppgssl.errors import DatasetError
from ppgssl.jobs.records import NewJob
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore

SERVICE_DEFAULTS = {"training": {"self_check": "warn"}}
"""What the service asks of a run where neither preset nor request says otherwise."""


def new_job(
    body: AnyCreate,
    store: JobStore,
    settings: Settings,
    *,
    cloned_from: str | None = None,
) -> NewJob:
    """The job that a request asks for; `cloned_from` is the id of the job that it changes.

    Raises:
        PpgsslError: Dataset, config or model cannot be used; the message says which and why.
    """
    folder = resolve_dataset(settings.data_root, body.dataset)
    return NewJob(
        **body.model_dump(exclude={"preset", "config"}),
        config=whole_config(body, folder, store, settings),
        request=body.model_dump(mode="json"),
        cloned_from=cloned_from,
    )


def whole_config(
    body: AnyCreate, folder: Path, store: JobStore, settings: Settings
) -> dict[str, Any]:
    """The config that a worker gets, of a kind of its own.

    Raises:
        PpgsslError: Dataset, config or model cannot be used.
    """
    if isinstance(body, PretrainCreate):
        return training_config(body, open_dataset(folder)).model_dump(mode="json")
    if isinstance(body, EvaluateCreate):
        return evaluation_config(body.config, open_dataset(folder), store, settings)
    return embedding_config(body.config, folder, store, settings)


def training_config(body: PretrainCreate, dataset: Dataset) -> Config:
    """The defaults, the service's, the dataset's windows, the preset, the request's own keys.

    Each lies over the last.

    Raises:
        ConfigError: There is no such preset, a key or value is wrong, or the dataset's windows are
            not those that the config trains on.
        DatasetError: The dataset has no training windows.
    """
    from ppgssl.training.trainer import check_fit  # brings PyTorch: seconds, once

    base = preset(body.preset) if body.preset is not None else {}
    layers = (dataset.settings, base, body.config)
    config = build_config(functools.reduce(merge, layers, SERVICE_DEFAULTS))
    check_fit(config, dataset)
    return config


def evaluation_config(
    asked: EvaluateConfig, dataset: Dataset, store: JobStore, settings: Settings
) -> dict[str, Any]:
    """What was asked for, and the encoders that its models mean now.

    They are settled here and not by the worker: whoever submits means the model as it is, and
    every attempt must evaluate the same weights, wherever an alias or a run's `best` moves.

    Raises:
        DatasetError: The dataset has no label, or not one that was asked for.
        ModelNotFoundError: No model is called so.
        CheckpointNotFoundError: The job has no best checkpoint (yet).
        CheckpointError: The encoder is damaged.
    """
    check_labels(asked, dataset)
    config = asked.model_dump(mode="json", exclude=set(CUT_BY))
    return {
        **config,
        "encoder": settled(kept(asked.model, store, settings)),
        "encoders_beside": {
            name: settled(kept(model, store, settings)) for name, model in asked.beside.items()
        },
    }


def embedding_config(
    asked: EmbedConfig, folder: Path, store: JobStore, settings: Settings
) -> dict[str, Any]:
    """What was asked for, and the encoder that its model means now, as for an evaluation.

    Raises:
        DatasetError: The dataset is damaged, or a setting is of recordings.
        RecordingError: It is no dataset, and holds no usable recording.
        ModelNotFoundError: No model is called so.
        CheckpointNotFoundError: The job has no best checkpoint (yet).
        CheckpointError: The encoder is damaged.
    """
    from ppgssl.inference.bulk_sources import check_units  # brings SciPy

    encoder = kept(asked.model, store, settings)
    check_units(folder, asked, own_fs_hz=encoder.info.fs_hz)
    return {**asked.model_dump(mode="json"), "encoder": settled(encoder)}


def kept(model: str, store: JobStore, settings: Settings) -> KeptEncoder:
    """The encoder that a model's name means now; a copy of it is kept.

    Raises:
        InputError: There is no such model, or it is damaged.
    """

    def keep(found: FoundEncoder) -> KeptEncoder:
        return keep_encoder(found, settings.kept_encoders)

    return use_newest(lambda: find_encoder(store, settings, model), keep)


def settled(encoder: KeptEncoder) -> dict[str, Any]:
    """What a model's name meant, and the sha256 under which the copy is kept."""
    return {
        "job_id": encoder.source.job_id,
        "checkpoint": encoder.source.checkpoint,
        "sha256": encoder.info.sha256,
    }


def check_labels(asked: EvaluateConfig, dataset: Dataset) -> None:
    """Refuse labels that the dataset does not have.

    Raises:
        DatasetError: It has no label at all, or not one that was asked for.
    """
    from ppgssl.evaluation.labelled import QUALITY  # brings SciPy

    if not dataset.labels and not asked.labels:
        raise DatasetError(
            f"dataset {dataset.name!r} has no labels, so nothing can be probed; prepare it from "
            "recordings that carry labels, such as hr_bpm"
        )
    for label in asked.labels:
        if label not in (*dataset.labels, QUALITY):
            raise DatasetError(
                f"dataset {dataset.name!r} has no label {label!r}; it has "
                f"{', '.join((*dataset.labels, QUALITY))}"
            )
