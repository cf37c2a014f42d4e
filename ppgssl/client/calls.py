"""Every request that the clients make, as data: what is sent, and what is made of the answer.

Nothing here sends anything: `Client` and `AsyncClient` do, each in its own way.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx
import numpy as np
import numpy.typing as npt

from ppgssl.client.embeddings import EmbeddedPart, arrow_of, read_part
from ppgssl.client.errors import no_json_error, raise_for_problem
from ppgssl.client.records import (
    Checkpoint,
    DatasetFigures,
    File,
    Floats,
    Job,
    LogLine,
    LossPoint,
    Model,
    checkpoint_record,
    dataset_record,
    job_record,
    log_line_record,
    loss_point_record,
    model_record,
)
from ppgssl.errors import InputError, ServiceError

ENCODER_FILES = ("encoder.safetensors", "encoder.json")
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
ARROW = "application/vnd.apache.arrow.stream"
EMBED_BYTES = 16 * 2**20  # of windows in one request; the service takes 64 MiB by default

Made = TypeVar("Made")
GivenWindows = npt.NDArray[np.floating] | Sequence[npt.NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Call(Generic[Made]):
    """One request.

    Attributes:
        method: GET, POST, ...
        path: On the service.
        read: Makes the result of an answer, or raises its problem.
        request: What else httpx sends.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], Made]
    request: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Pages(Generic[Made]):
    """A list that comes page by page.

    Attributes:
        path: On the service.
        read: Makes a result of an item.
        parameters: Of the first page.
    """

    path: str
    read: Callable[[Mapping[str, Any]], Made]
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def call(self, after: object | None) -> Call[dict[str, Any]]:
        """The request for the page after a cursor."""
        following = {} if after is None else {"after": after}
        return Call("GET", self.path, json_of, {"params": {**self.parameters, **following}})

    def items(self, page: Mapping[str, Any]) -> Iterator[Made]:
        """The results on a page."""
        return map(self.read, page["data"])


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """The members of an answer.

    Raises:
        ServiceError: It tells of an error, or is not ours.
    """
    raise_for_problem(answer)
    try:
        return answer.json()
    except ValueError as error:
        raise no_json_error(answer) from error


def text_of(answer: httpx.Response) -> str:
    """The text of an answer."""
    raise_for_problem(answer)
    return answer.text


def nothing_of(answer: httpx.Response) -> None:
    """Nothing, where all went well."""
    raise_for_problem(answer)


def job_of(answer: httpx.Response) -> Job:
    """The job in an answer."""
    return job_record(json_of(answer))


# ------------------------------------------------------------------------------------------- jobs


def submit(
    dataset: str,
    *,
    config: Mapping[str, Any] | None = None,
    preset: str | None = None,
    kind: str = "pretrain",
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    priority: int = 0,
    max_attempts: int | None = None,
    max_runtime_s: float | None = None,
    idempotency_key: str | None = None,
) -> Call[Job]:
    """Queue a job; see also `submit_evaluation` and `submit_embedding`.

    Args:
        dataset: Name of a dataset folder under the service's data root.
        config: Partial config, laid over the preset or the defaults.
        preset: Name of a preset.
        kind: Kind of job.
        name: For people.
        metadata: Kept with the job.
        priority: Higher runs first.
        max_attempts: Tries where a worker is lost; None is the service's default.
        max_runtime_s: Longest time of running, seconds.
        idempotency_key: Two calls with one key make one job; by default each call makes one.

    Raises:
        RefusedError: Dataset, preset or config is wrong; the detail says which and why.
    """
    body = {
        "kind": kind,
        "dataset": dataset,
        "preset": preset,
        "config": dict(config or {}),
        "name": name,
        "metadata": dict(metadata or {}),
        "priority": priority,
        "max_attempts": max_attempts,
        "max_runtime_s": max_runtime_s,
    }
    given = {key: value for key, value in body.items() if value is not None}
    key = idempotency_key or str(uuid.uuid4())  # so that a repeated request makes no second job
    return Call("POST", "/v1/jobs", job_of, {"json": given, "headers": {"Idempotency-Key": key}})


def submit_evaluation(
    dataset: str,
    *,
    model: str = "default",
    labels: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    priority: int = 0,
    max_attempts: int | None = None,
    max_runtime_s: float | None = None,
    idempotency_key: str | None = None,
) -> Call[Job]:
    """Queue an evaluation of a frozen encoder on a labelled dataset.

    The job's `config["encoder"]` says which weights `model` meant when it was submitted.

    Args:
        dataset: Name of a dataset folder under the service's data root.
        model: Alias, job id or `default`.
        labels: Which labels to probe; none means every label that can be probed.
        config: Further settings of the evaluation; they win over the two above.
        name: For people.
        metadata: Kept with the job.
        priority: Higher runs first.
        max_attempts: Tries where a worker is lost; None is the service's default.
        max_runtime_s: Longest time of running, seconds.
        idempotency_key: Two calls with one key make one job; by default each call makes one.

    Raises:
        RefusedError: Dataset, model, label or setting is wrong; the detail says which and why.
    """
    return submit(
        dataset,
        kind="evaluate",
        config={"model": model, "labels": list(labels), **(config or {})},
        name=name,
        metadata=metadata,
        priority=priority,
        max_attempts=max_attempts,
        max_runtime_s=max_runtime_s,
        idempotency_key=idempotency_key,
    )


def submit_embedding(
    dataset: str,
    *,
    model: str = "default",
    granularity: str = "window",
    config: Mapping[str, Any] | None = None,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    priority: int = 0,
    max_attempts: int | None = None,
    max_runtime_s: float | None = None,
    idempotency_key: str | None = None,
) -> Call[Job]:
    """Queue the embedding of every window of a dataset, or of the recordings in a folder.

    The job's `config["encoder"]` says which weights `model` meant when it was submitted.

    Args:
        dataset: Name of a dataset folder, or of a folder of recordings, under the service's data
            root.
        model: Alias, job id or `default`.
        granularity: An embedding per `window`, or per `segment` of it.
        config: Further settings, such as `window_seconds`, `fs_hz` and `channel` of recordings;
            they win over the two above.
        name: For people.
        metadata: Kept with the job.
        priority: Higher runs first.
        max_attempts: Tries where a worker is lost; None is the service's default.
        max_runtime_s: Longest time of running, seconds.
        idempotency_key: Two calls with one key make one job; by default each call makes one.

    Raises:
        RefusedError: Dataset, model or setting is wrong; the detail says which and why.
    """
    return submit(
        dataset,
        kind="embed",
        config={"model": model, "granularity": granularity, **(config or {})},
        name=name,
        metadata=metadata,
        priority=priority,
        max_attempts=max_attempts,
        max_runtime_s=max_runtime_s,
        idempotency_key=idempotency_key,
    )


def get(job_id: str) -> Call[Job]:
    """The job as it is now."""
    return Call("GET", f"/v1/jobs/{job_id}", job_of)


def jobs(
    *, status: str | None = None, kind: str | None = None, dataset: str | None = None
) -> Pages[Job]:
    """All jobs, newest first, page by page."""
    wanted = {"status": status, "kind": kind, "dataset": dataset}
    return Pages("/v1/jobs", job_record, _given(wanted))


def losses(
    job_id: str,
    *,
    after_step: int = -1,
    split: str | None = None,
    max_points: int | None = None,
) -> Call[list[LossPoint]]:
    """The loss history after a step; with `max_points` thinned, peaks kept."""
    wanted = {"after_step": after_step, "split": split, "max_points": max_points}

    def read(answer: httpx.Response) -> list[LossPoint]:
        return [loss_point_record(point) for point in json_of(answer)["data"]]

    return Call("GET", f"/v1/jobs/{job_id}/losses", read, {"params": _given(wanted)})


def logs(job_id: str, *, after: int = 0) -> Pages[LogLine]:
    """What the run wrote so far, after a line."""
    return Pages(f"/v1/jobs/{job_id}/logs", log_line_record, {"after": after, "limit": 1000})


def cancel(job_id: str) -> Call[Job]:
    """Ask for the job to be cancelled."""
    return Call("POST", f"/v1/jobs/{job_id}/cancel", job_of)


def pause(job_id: str) -> Call[Job]:
    """Ask for the job to be paused."""
    return Call("POST", f"/v1/jobs/{job_id}/pause", job_of)


def resume(job_id: str) -> Call[Job]:
    """Queue a paused job again."""
    return Call("POST", f"/v1/jobs/{job_id}/resume", job_of)


def clone(
    job_id: str,
    changes: Mapping[str, Any] | None = None,
    *,
    idempotency_key: str | None = None,
) -> Call[Job]:
    """Queue a job that is asked for as this one was, with changes.

    Args:
        job_id: The job to copy.
        changes: Any of `config` (partial, merged key by key), `preset`, `dataset`, `name`,
            `metadata`, `priority`, `max_attempts` and `max_runtime_s`; the rest stays.
        idempotency_key: Two calls with one key make one job; by default each call makes one.

    Raises:
        RefusedError: There is no such job, or what comes of it is wrong.
    """
    key = idempotency_key or str(uuid.uuid4())
    request = {"json": dict(changes or {}), "headers": {"Idempotency-Key": key}}
    return Call("POST", f"/v1/jobs/{job_id}/clone", job_of, request)


def delete(job_id: str) -> Call[None]:
    """Delete a finished job with all that it left; needs a key of the role `admin`.

    Raises:
        RefusedError: There is no such job (any more), it has not finished, or an alias points
            at it.
    """
    return Call("DELETE", f"/v1/jobs/{job_id}", nothing_of)


# ------------------------------------------------------------------------- what jobs leave behind


def checkpoint_pages(job_id: str) -> Pages[Checkpoint]:
    """The job's checkpoints and their files."""
    return Pages(f"/v1/jobs/{job_id}/checkpoints", checkpoint_record)


def chosen_files(
    checkpoints: Sequence[Checkpoint], job_id: str, name: str, files: Sequence[str] | None
) -> list[File]:
    """Files of one checkpoint of a job; None is all of them.

    Raises:
        InputError: There is no such checkpoint, or it has no file of such a name.
    """
    found = {known.name: known for known in checkpoints}.get(name)
    if found is None:
        raise InputError(f"job {job_id} has no checkpoint {name!r} (yet)")
    known = {file.name: file for file in found.files}
    absent = [file for file in files or () if file not in known]
    if absent:
        raise InputError(f"checkpoint {name!r} has no {absent[0]}; it has {', '.join(known)}")
    return [known[file] for file in files or known]


def refuse_paths(files: Sequence[File]) -> None:
    """Refuse names that lead elsewhere than into the folder of a download.

    Raises:
        ServiceError: There is one.
    """
    for file in files:
        if PLAIN_NAME.fullmatch(file.name) is None:
            raise ServiceError(f"the service names a file {file.name!r}, which is no plain name")


def report(job_id: str) -> Call[dict[str, Any]]:
    """What a finished evaluation found, as its `report.json` has it; `files` lists its files.

    Raises:
        RefusedError: The job is no evaluation, or has not succeeded (yet).
    """
    return Call("GET", f"/v1/jobs/{job_id}/report", json_of, {"params": {"format": "json"}})


def report_markdown(job_id: str) -> Call[str]:
    """The same for people.

    Raises:
        RefusedError: The job is no evaluation, or has not succeeded (yet).
    """
    return Call("GET", f"/v1/jobs/{job_id}/report", text_of, {"params": {"format": "md"}})


def embedded(job_id: str) -> Call[dict[str, Any]]:
    """What a finished job of the kind `embed` embedded and refused; `files` lists its files.

    Raises:
        RefusedError: The job is of another kind, or has not succeeded (yet).
    """
    return Call("GET", f"/v1/jobs/{job_id}/embeddings", json_of, {"params": {"format": "json"}})


# --------------------------------------------------------------- models, datasets and embeddings


def models() -> Pages[Model]:
    """Encoders that can embed, newest first."""
    return Pages("/v1/models", model_record)


def set_alias(alias: str, job_id: str, *, checkpoint: str = "best") -> Call[None]:
    """Point an alias such as `production` at a job's checkpoint."""
    body = {"job_id": job_id, "checkpoint": checkpoint}
    return Call("PUT", f"/v1/models/{alias}", nothing_of, {"json": body})


def datasets() -> Pages[DatasetFigures]:
    """Dataset folders of the service, damaged ones too."""
    return Pages("/v1/datasets", dataset_record)


def embed_parts(
    windows: GivenWindows, *, fs_hz: float | None, model: str, granularity: str
) -> Iterator[Call[EmbeddedPart]]:
    """Requests that together embed all windows, as float32."""
    rows = [windows] if isinstance(windows, np.ndarray) and windows.ndim == 1 else windows
    rows = [np.ascontiguousarray(row, dtype="<f4") for row in rows]
    parameters = _given({"model": model, "fs_hz": fs_hz, "granularity": granularity})
    for part in _parts(rows):
        yield _embed_part(part, parameters)


def _embed_part(rows: Sequence[Floats], parameters: Mapping[str, Any]) -> Call[EmbeddedPart]:
    request = {
        "params": parameters,
        "content": arrow_of(rows),
        "headers": {"Content-Type": ARROW, "Accept": ARROW},
    }
    return Call("POST", "/v1/embeddings", lambda answer: read_part(answer, len(rows)), request)


def _parts(rows: Sequence[Floats]) -> Iterator[list[Floats]]:
    """Consecutive rows that fit one request."""
    part: list[Floats] = []
    for row in rows:
        if part and sum(other.nbytes for other in part) + row.nbytes > EMBED_BYTES:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
