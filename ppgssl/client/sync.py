"""The service from ordinary code; each request and its meaning: `calls.py`."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from ppgssl.client import calls
from ppgssl.client.calls import ENCODER_FILES, Call, GivenWindows, Pages
from ppgssl.client.embeddings import join_segments, join_windows
from ppgssl.client.errors import DamagedError, raise_for_problem
from ppgssl.client.records import (
    Checkpoint,
    Embeddings,
    Event,
    File,
    Job,
    SegmentEmbeddings,
    listed_files,
)
from ppgssl.client.signatures import with_self
from ppgssl.client.wire import (
    CHUNK_BYTES,
    NO_URL,
    TIMEOUT,
    WORTH_RETRYING,
    EventParser,
    Incoming,
    Tries,
    gone,
    headers,
    move_all,
    no_url_error,
    root_of,
)

Made = TypeVar("Made")
Parameters = ParamSpec("Parameters")


def _blocking(
    call: Callable[Parameters, Call[Made]],
) -> Callable[Concatenate["Client", Parameters], Made]:
    """The method that makes one request."""

    @functools.wraps(call)
    def method(self: "Client", *args: Parameters.args, **kwargs: Parameters.kwargs) -> Made:
        return self.send(call(*args, **kwargs))

    return with_self(method, call)


def _list(
    pages: Callable[Parameters, Pages[Made]],
) -> Callable[Concatenate["Client", Parameters], Iterator[Made]]:
    """The method that asks for a list, page by page."""

    @functools.wraps(pages)
    def method(
        self: "Client", *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Iterator[Made]:
        return self.pages(pages(*args, **kwargs))

    return with_self(method, pages)


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
        self._url = root_of(url)
        self._http = httpx.Client(base_url=self._url, headers=headers(api_key), timeout=TIMEOUT)
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

    # ----------------------------------------------------------------- one request, or one list

    submit = _blocking(calls.submit)
    submit_evaluation = _blocking(calls.submit_evaluation)
    submit_embedding = _blocking(calls.submit_embedding)
    get = _blocking(calls.get)
    losses = _blocking(calls.losses)
    cancel = _blocking(calls.cancel)
    pause = _blocking(calls.pause)
    resume = _blocking(calls.resume)
    clone = _blocking(calls.clone)
    delete = _blocking(calls.delete)
    report = _blocking(calls.report)
    report_markdown = _blocking(calls.report_markdown)
    embedded = _blocking(calls.embedded)
    set_alias = _blocking(calls.set_alias)
    jobs = _list(calls.jobs)
    logs = _list(calls.logs)
    models = _list(calls.models)
    datasets = _list(calls.datasets)

    # ------------------------------------------------------------------------- several requests

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
        tries = Tries(self._url)
        while True:
            cut_off_by: httpx.TransportError | None = None
            try:
                for event in self._stream_events(job_id, after):
                    yield event
                    after, tries = event.id, Tries(self._url)
                    if event.is_terminal:
                        return
            except httpx.TransportError as error:
                cut_off_by = error
            self._sleep(tries.delay_after(cut_off_by))

    def embed(
        self, windows: GivenWindows, *, fs_hz: float | None = None, model: str = "default"
    ) -> Embeddings:
        """Embed windows; they travel as float32, several requests if need be.

        Args:
            windows: Array (N, T), one window (T,), or windows of different lengths.
            fs_hz: Their sampling rate, Hz; None is the encoder's own.
            model: Alias, job id or `default`.

        Raises:
            RefusedError: There is no such model, or no window can be embedded.
        """
        parts = calls.embed_parts(windows, fs_hz=fs_hz, model=model, granularity="window")
        return join_windows([self.send(part) for part in parts])

    def embed_segments(
        self, windows: GivenWindows, *, fs_hz: float | None = None, model: str = "default"
    ) -> SegmentEmbeddings:
        """Embed every segment of windows; see `embed`."""
        parts = calls.embed_parts(windows, fs_hz=fs_hz, model=model, granularity="segment")
        return join_segments([self.send(part) for part in parts])

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """The job's checkpoints and their files."""
        return [found for found in self.pages(calls.checkpoint_pages(job_id))]

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

        def list_files() -> list[File]:
            found = self.checkpoints(job_id)
            return calls.chosen_files(found, job_id, checkpoint, files)

        return self._save(out, f"/v1/jobs/{job_id}/checkpoints/{checkpoint}", list_files)

    def download_report(self, job_id: str, out: Path) -> list[Path]:
        """Download a report with its pictures into a folder, checked against their sha256.

        Returns:
            Where the files are now.

        Raises:
            RefusedError: The job is no evaluation, or has not succeeded (yet).
            ServiceError: What arrived is not what the service said it sends.
        """

        def list_files() -> list[File]:
            return listed_files(self.report(job_id))

        return self._save(out, f"/v1/jobs/{job_id}/report", list_files)

    def download_embeddings(self, job_id: str, out: Path) -> list[Path]:
        """Download the embeddings of a job into a folder, checked against their sha256.

        Returns:
            Where the Parquet file is now.

        Raises:
            RefusedError: The job is of another kind, or has not succeeded (yet).
            ServiceError: What arrived is not what the service said it sends.
        """

        def list_files() -> list[File]:
            return listed_files(self.embedded(job_id))

        return self._save(out, f"/v1/jobs/{job_id}/embeddings", list_files)

    # ----------------------------------------------------------------------------- the wire

    def send(self, call: Call[Made]) -> Made:
        """Make a request, again where that may help, and read its answer.

        Raises:
            ServiceError: It failed.
        """
        tries = Tries(self._url)
        while True:
            try:
                answer = self._http.request(call.method, call.path, **call.request)
            except NO_URL as error:
                raise no_url_error(self._url) from error
            except httpx.TransportError as error:
                delay_s = tries.delay_after(error)
            else:
                delay_s = tries.delay_as_told(answer)
                if delay_s is None:
                    return call.read(answer)
            self._sleep(delay_s)

    def pages(self, pages: Pages[Made]) -> Iterator[Made]:
        """The items of a list, page by page.

        Raises:
            ServiceError: A request for a page failed.
        """
        after: Any = None
        while True:
            page = self.send(pages.call(after))
            yield from pages.items(page)
            if not page["has_more"]:
                return
            after = page["next"]

    def _stream_events(self, job_id: str, after: int) -> Iterator[Event]:
        asked = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        route = f"/v1/jobs/{job_id}/events"
        with self._http.stream("GET", route, headers=asked) as answer:
            if answer.status_code in WORTH_RETRYING:
                return
            if not answer.is_success:
                answer.read()
                raise_for_problem(answer)
            parser = EventParser()
            for line in answer.iter_lines():
                if (event := parser.feed(line)) is not None:
                    yield event

    def _save(self, out: Path, route: str, list_files: Callable[[], list[File]]) -> list[Path]:
        """Download the listed files, all of one listing, and move them to `out` together."""
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".download-", dir=out) as folder:
            tries = Tries(self._url)
            while True:
                wanted = list_files()
                calls.refuse_paths(wanted)
                try:
                    for file in wanted:
                        self._fetch(f"{route}/{file.name}", file, Path(folder))
                    return move_all(wanted, Path(folder), out)
                except (DamagedError, httpx.TransportError) as error:
                    delay_s = tries.delay_after(error)
                self._sleep(delay_s)

    def _fetch(self, route: str, file: File, folder: Path) -> None:
        with self._http.stream("GET", route) as answer:
            if answer.status_code == HTTPStatus.NOT_FOUND:
                raise gone(file)
            if not answer.is_success:
                answer.read()
                raise_for_problem(answer)
            with Incoming(folder, file) as incoming:
                for chunk in answer.iter_bytes(CHUNK_BYTES):
                    incoming.add(chunk)
        incoming.check()
