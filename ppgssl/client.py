"""The HTTP service from Python: submit, watch, download, embed.

    from ppgssl.client import Client

    with Client("http://127.0.0.1:8000") as client:
        job = client.submit("my_dataset", preset="small")
        for event in client.watch(job.id):
            print(event.type, event.data)
        client.download(job.id, Path("encoder"))
        vectors = client.embed(windows, fs_hz=125, model=job.id).embedding

Needs NumPy, httpx and PyArrow; never PyTorch or the server's code. Every call may be repeated
without harm, so those that fail on the way are, at the pace that the service asks for.

ServiceError                        the service could not be reached, or failed
└── ProblemError                    it answered with a problem: title, detail, code, status
    └── RefusedError (InputError)   the request is at fault (4xx)
"""

import hashlib
import json
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ppgssl.errors import InputError, ServiceError

FINISHED = frozenset({"succeeded", "failed", "cancelled"})
ENCODER_FILES = ("encoder.safetensors", "encoder.json")
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
ARROW = "application/vnd.apache.arrow.stream"

TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # the service sends a sign of life every 15 s
RETRIES = 4
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 30.0
WORTH_RETRYING = frozenset({429, 502, 503, 504})
CHUNK_BYTES = 2**20
SINCE_ADDED = dict.fromkeys(("stage", "device_memory_bytes", "device_utilisation"))
"""What the progress of older services does not have."""
EMBED_BYTES = 16 * 2**20  # of windows in one request; the service takes 64 MiB by default

Floats = npt.NDArray[np.float32]
Record = TypeVar("Record")


# ------------------------------------------------------------------------------------------ errors


class ProblemError(ServiceError):
    """The service answered with an error.

    Attributes:
        status: HTTP status.
        title: What the status means.
        detail: What was wrong, and how to mend it.
        code: Stable name of the error.
        members: The whole problem, also what is particular to this error.
    """

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        self.status = status
        self.members = dict(members)
        self.title = str(members.get("title", f"HTTP {status}"))
        self.detail = str(members.get("detail", "the service gave no reason"))
        # of this answer, not of the class
        self.code = str(members.get("code", ServiceError.code))  # pyright: ignore[reportAttributeAccessIssue]
        super().__init__(f"{self.title}: {self.detail} ({self.code})")


class RefusedError(ProblemError, InputError):
    """The request is at fault."""


# ---------------------------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: a training run in its epochs, an evaluation in its stages."""

    epoch: int | None
    epochs: int | None
    step: int
    steps: int
    fraction: float
    eta_s: float | None
    windows_per_s: float | None
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


# ----------------------------------------------------------------------------------------- client


class Client:
    """One service. Close it, or use it in a `with` block.

    Args:
        url: Where the service is, such as `http://127.0.0.1:8000`.
        api_key: Its key, where it has one.
        sleep: Waits between two tries, seconds.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = url
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ----------------------------------------------------------------------------------- jobs

    def submit(
        self,
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
    ) -> Job:
        """Queue a job; see also `submit_evaluation`.

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
        return _job(self._json("POST", "/v1/jobs", json=given, headers={"Idempotency-Key": key}))

    def submit_evaluation(
        self,
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
    ) -> Job:
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
        return self.submit(
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

    def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return _job(self._json("GET", f"/v1/jobs/{job_id}"))

    def jobs(
        self, *, status: str | None = None, kind: str | None = None, dataset: str | None = None
    ) -> Iterator[Job]:
        """All jobs, newest first, page by page."""
        wanted = {"status": status, "kind": kind, "dataset": dataset}
        return map(_job, self._pages("/v1/jobs", wanted))

    def wait(self, job_id: str, *, timeout_s: float | None = None, poll_s: float = 1.0) -> Job:
        """Wait until the job has finished, however it ends.

        Raises:
            TimeoutError: It has not after `timeout_s` seconds; it runs on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (job := self.get(job_id)).is_finished:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} is still {job.status} after {timeout_s:g} s")
            self._sleep(poll_s)
        return job

    def watch(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """What happens to the job, from its first event to its last; reconnects where cut off.

        Args:
            job_id: The job.
            after: Number of the last event already seen.
        """
        tries = _Tries(self._sleep)
        while True:
            try:
                for event in self._stream_events(job_id, after):
                    yield event
                    after, tries = event.id, _Tries(self._sleep)
                    if event.is_terminal:
                        return
            except httpx.TransportError as error:
                tries.wait_after(error, self._url)
            else:
                tries.wait_after(None, self._url)  # hung up before the end: being restarted

    def losses(
        self,
        job_id: str,
        *,
        after_step: int = -1,
        split: str | None = None,
        max_points: int | None = None,
    ) -> list[LossPoint]:
        """The loss history after a step; with `max_points` thinned, peaks kept."""
        wanted = {"after_step": after_step, "split": split, "max_points": max_points}
        answer = self._json("GET", f"/v1/jobs/{job_id}/losses", params=_given(wanted))
        return [_loss_point(point) for point in answer["data"]]

    def logs(self, job_id: str, *, after: int = 0) -> Iterator[LogLine]:
        """What the run wrote so far, after a line."""
        lines = self._pages(f"/v1/jobs/{job_id}/logs", {"after": after, "limit": 1000})
        return (_record(LogLine, line, time=_time(line["time"])) for line in lines)

    def cancel(self, job_id: str) -> Job:
        """Ask for the job to be cancelled."""
        return _job(self._json("POST", f"/v1/jobs/{job_id}/cancel"))

    def pause(self, job_id: str) -> Job:
        """Ask for the job to be paused."""
        return _job(self._json("POST", f"/v1/jobs/{job_id}/pause"))

    def resume(self, job_id: str) -> Job:
        """Queue a paused job again."""
        return _job(self._json("POST", f"/v1/jobs/{job_id}/resume"))

    def clone(
        self,
        job_id: str,
        changes: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Job:
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
        headers = {"Idempotency-Key": key}
        route = f"/v1/jobs/{job_id}/clone"
        return _job(self._json("POST", route, json=dict(changes or {}), headers=headers))

    def delete(self, job_id: str) -> None:
        """Delete a finished job with all that it left; needs a key of the role `admin`.

        Raises:
            RefusedError: There is no such job (any more), it has not finished, or an alias points
                at it.
        """
        self._request("DELETE", f"/v1/jobs/{job_id}")

    # ---------------------------------------------------------------- checkpoints and encoders

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """The job's checkpoints and their files."""
        return [_checkpoint(data) for data in self._pages(f"/v1/jobs/{job_id}/checkpoints", {})]

    def download(
        self,
        job_id: str,
        out: Path,
        *,
        checkpoint: str = "best",
        files: Sequence[str] | None = ENCODER_FILES,
    ) -> list[Path]:
        """Download files of one checkpoint into a folder, checked against their sha256.

        All of them belong to the same checkpoint, also while a run replaces it; where anything
        fails, files that were in `out` before stay as they were.

        Args:
            job_id: The job.
            out: Folder, made where needed.
            checkpoint: best, last or epoch-N.
            files: Names; None is all of them. By default what `load_encoder` needs.

        Returns:
            Where the files are now.

        Raises:
            RefusedError: The job or the checkpoint does not exist.
            InputError: The checkpoint has no file of such a name.
            ServiceError: What arrived is not what the service said it sends.
        """
        route = f"/v1/jobs/{job_id}/checkpoints/{checkpoint}"
        return self._save(out, route, lambda: self._files(job_id, checkpoint, files))

    def _files(self, job_id: str, checkpoint: str, names: Sequence[str] | None) -> list[File]:
        found = {known.name: known for known in self.checkpoints(job_id)}.get(checkpoint)
        if found is None:
            raise InputError(f"job {job_id} has no checkpoint {checkpoint!r} (yet)")
        files = {file.name: file for file in found.files}
        absent = [name for name in names or () if name not in files]
        if absent:
            raise InputError(
                f"checkpoint {checkpoint!r} has no {absent[0]}; it has {', '.join(files)}"
            )
        return [files[name] for name in names or files]

    def _save(self, out: Path, route: str, list_files: Callable[[], list[File]]) -> list[Path]:
        """Download the listed files, all of one listing, and move them to `out` together."""
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".download-", dir=out) as folder:
            tries = _Tries(self._sleep)
            while True:
                wanted = list_files()
                _refuse_paths(wanted)
                try:
                    for file in wanted:
                        self._fetch(f"{route}/{file.name}", file, Path(folder) / file.name)
                    break
                except (_DamagedError, httpx.TransportError) as error:
                    tries.wait_after(error, self._url)
            return [(Path(folder) / file.name).replace(out / file.name) for file in wanted]

    def _fetch(self, route: str, file: File, path: Path) -> None:
        digest = hashlib.sha256()
        with self._http.stream("GET", route) as answer, path.open("wb") as target:
            if answer.status_code == HTTPStatus.NOT_FOUND:
                raise _DamagedError(f"{file.name} was replaced meanwhile")
            _raise_for_problem(answer)
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise _DamagedError(
                f"{file.name} has the sha256 {digest.hexdigest()}, not {file.sha256}"
            )

    # --------------------------------------------------------------------------------- reports

    def report(self, job_id: str) -> dict[str, Any]:
        """What a finished evaluation found, as its `report.json` has it; `files` lists its files.

        Raises:
            RefusedError: The job is no evaluation, or has not succeeded (yet).
        """
        return self._json("GET", f"/v1/jobs/{job_id}/report", params={"format": "json"})

    def report_markdown(self, job_id: str) -> str:
        """The same for people.

        Raises:
            RefusedError: The job is no evaluation, or has not succeeded (yet).
        """
        return self._request("GET", f"/v1/jobs/{job_id}/report", params={"format": "md"}).text

    def download_report(self, job_id: str, out: Path) -> list[Path]:
        """Download a report with its pictures into a folder, checked against their sha256.

        Returns:
            Where the files are now.

        Raises:
            RefusedError: The job is no evaluation, or has not succeeded (yet).
            ServiceError: What arrived is not what the service said it sends.
        """

        def list_files() -> list[File]:
            return [_record(File, file) for file in self.report(job_id)["files"]]

        return self._save(out, f"/v1/jobs/{job_id}/report", list_files)

    # ------------------------------------------------------------------- models and embeddings

    def models(self) -> Iterator[Model]:
        """Encoders that can embed, newest first."""
        return (_record(Model, model) for model in self._pages("/v1/models", {}))

    def set_alias(self, alias: str, job_id: str, *, checkpoint: str = "best") -> None:
        """Point an alias such as `production` at a job's checkpoint."""
        self._json("PUT", f"/v1/models/{alias}", json={"job_id": job_id, "checkpoint": checkpoint})

    def datasets(self) -> Iterator[DatasetFigures]:
        """Dataset folders of the service, damaged ones too."""
        found = self._pages("/v1/datasets", {})
        return (_record(DatasetFigures, data, error=_failure(data["error"])) for data in found)

    def embed(
        self,
        windows: npt.NDArray[np.floating] | Sequence[npt.NDArray[np.floating]],
        *,
        fs_hz: float | None = None,
        model: str = "default",
    ) -> Embeddings:
        """Embed windows; they travel as float32, several requests if need be.

        Args:
            windows: Array (N, T), one window (T,), or windows of different lengths.
            fs_hz: Their sampling rate, Hz; None is the encoder's own.
            model: Alias, job id or `default`.

        Raises:
            RefusedError: There is no such model, or no window of a request can be embedded.
        """
        rows = [windows] if isinstance(windows, np.ndarray) and windows.ndim == 1 else windows
        rows = [np.ascontiguousarray(row, dtype="<f4") for row in rows]
        parameters = _given({"model": model, "fs_hz": fs_hz})
        tables = [self._embed_part(part, parameters) for part in _parts(rows)]
        if not tables:
            return Embeddings(np.empty((0, 0), np.float32), np.empty(0, np.float32), {})
        return _embeddings(pa.concat_tables(tables).combine_chunks())

    def _embed_part(self, rows: Sequence[Floats], parameters: Mapping[str, Any]) -> pa.Table:
        answer = self._request(
            "POST",
            "/v1/embeddings",
            params=parameters,
            content=_arrow_bytes(rows),
            headers={"Content-Type": ARROW, "Accept": ARROW},
        )
        return pa.ipc.open_stream(answer.content).read_all()

    # ----------------------------------------------------------------------------- the wire

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self._request(method, path, **request)
        try:
            return answer.json()
        except ValueError as error:
            raise ServiceError(
                f"{answer.url} does not answer as ppgssl does; is another service there?"
            ) from error

    def _pages(self, path: str, wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        parameters = _given(wanted)
        while True:
            page = self._json("GET", path, params=parameters)
            yield from page["data"]
            if not page["has_more"]:
                return
            parameters["after"] = page["next"]

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        tries = _Tries(self._sleep)
        while True:
            try:
                answer = self._http.request(method, path, **request)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise InputError(
                    f"{self._url!r} is no URL of a service; it should look like http://HOST:PORT"
                ) from error
            except httpx.TransportError as error:
                tries.wait_after(error, self._url)
                continue
            if answer.status_code in WORTH_RETRYING and tries.left:
                tries.wait_as_told(answer)
                continue
            _raise_for_problem(answer)
            return answer

    def _stream_events(self, job_id: str, after: int) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
            if answer.status_code in WORTH_RETRYING:
                return
            _raise_for_problem(answer)
            yield from parse_events(answer.iter_lines())


class _DamagedError(Exception):
    """What arrived is not what was announced."""


class _Tries:
    """Counts the tries of one request and waits between them."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._done = 0

    @property
    def left(self) -> bool:
        """Another try may be made."""
        return self._done < RETRIES

    def wait_after(self, error: Exception | None, url: str) -> None:
        """Wait longer each time.

        Raises:
            ServiceError: No try is left.
        """
        if not self.left:
            said = str(error or "it hangs up before the end") or type(error).__name__
            hint = "; is the service running?" if isinstance(error, httpx.ConnectError) else ""
            raise ServiceError(f"{url}: {said}{hint}") from error
        self._sleep(self._delay_s())
        self._done += 1

    def wait_as_told(self, answer: httpx.Response) -> None:
        """Wait for as long as `Retry-After` says."""
        told = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
        self._sleep(self._delay_s() if told is None else min(told, LONGEST_DELAY_S))
        self._done += 1

    def _delay_s(self) -> float:
        # clients that were cut off together must not come back together
        return FIRST_DELAY_S * 2**self._done * random.uniform(0.5, 1.0)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as a number or a date; None without."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-Sent Events out of a stream's lines; an unfinished last one is dropped."""
    members: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            members[name] = value.removeprefix(" ")
        else:
            if "data" in members:
                yield Event(int(members["id"]), members["event"], json.loads(members["data"]))
            members = {}


def _raise_for_problem(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    answer.read()
    try:
        members = answer.json()
    except ValueError:
        members = {"detail": f"{answer.url} answered {answer.text[:200]!r}"}
    kind = RefusedError if answer.is_client_error else ProblemError
    raise kind(answer.status_code, members if isinstance(members, dict) else {})


def _refuse_paths(files: Sequence[File]) -> None:
    for file in files:
        if PLAIN_NAME.fullmatch(file.name) is None:
            raise ServiceError(f"the service names a file {file.name!r}, which is no plain name")


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


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


def _arrow_bytes(rows: Sequence[Floats]) -> bytes:
    ends = pa.array(np.cumsum([0, *(len(row) for row in rows)]), type=pa.int32())
    signal = pa.ListArray.from_arrays(ends, pa.array(np.concatenate(rows)))
    table = pa.table({"signal": signal})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _embeddings(table: pa.Table) -> Embeddings:
    is_sound = table["embedding"].is_valid().to_numpy()
    faults = table["error"].to_pylist()
    embedding = np.full((len(table), table.schema.field("embedding").type.list_size), np.nan, "<f4")
    embedding[is_sound] = (
        pc.list_flatten(table["embedding"]).to_numpy().reshape(-1, embedding.shape[1])
    )
    return Embeddings(
        embedding,
        table["quality"].to_numpy(),
        {row: str(faults[row]) for row in np.flatnonzero(~is_sound).tolist()},
    )


def _record(kind: type[Record], data: Mapping[str, Any], **made: Any) -> Record:
    """A record of the members that it knows; a newer service may send more."""
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    return kind(**{name: made.get(name, data[name]) for name in names})


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _failure(data: Mapping[str, Any] | None) -> Failure | None:
    return None if data is None else _record(Failure, data)


def _job(data: Mapping[str, Any]) -> Job:
    progress, best = data["progress"], data["best"]
    return _record(
        Job,
        {"cloned_from": None, **data},
        created_at=_time(data["created_at"]),
        started_at=_time(data["started_at"]),
        finished_at=_time(data["finished_at"]),
        progress=progress and _record(Progress, SINCE_ADDED | progress),
        best=best and _record(Best, best),
        error=_failure(data["error"]),
    )


def _loss_point(data: Mapping[str, Any]) -> LossPoint:
    keys = ("step", "epoch", "split")
    values = {name: value for name, value in data.items() if name not in keys}
    return LossPoint(data["step"], data["epoch"], data["split"], values)


def _checkpoint(data: Mapping[str, Any]) -> Checkpoint:
    files = [_record(File, file) for file in data["files"]]
    return _record(Checkpoint, data, files=files, created_at=_time(data["created_at"]))
