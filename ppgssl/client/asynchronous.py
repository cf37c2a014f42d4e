"""The service from asynchronous code; each request and its meaning: `calls.py`."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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


def _awaiting(
    call: Callable[Parameters, Call[Made]],
) -> Callable[Concatenate["AsyncClient", Parameters], Awaitable[Made]]:
    """The method that makes one request."""

    @functools.wraps(call)
    async def method(
        self: "AsyncClient", *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Made:
        return await self.send(call(*args, **kwargs))

    return with_self(method, call)


def _async_list(
    pages: Callable[Parameters, Pages[Made]],
) -> Callable[Concatenate["AsyncClient", Parameters], AsyncIterator[Made]]:
    """The method that asks for a list, page by page."""

    @functools.wraps(pages)
    def method(
        self: "AsyncClient", *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> AsyncIterator[Made]:
        return self.pages(pages(*args, **kwargs))

    return with_self(method, pages)


class AsyncClient:
    """One service. Close it, or use it in an `async with` block.

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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = root_of(url)
        self._http = httpx.AsyncClient(
            base_url=self._url, headers=headers(api_key), timeout=TIMEOUT
        )
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # ----------------------------------------------------------------- one request, or one list

    submit = _awaiting(calls.submit)
    submit_evaluation = _awaiting(calls.submit_evaluation)
    submit_embedding = _awaiting(calls.submit_embedding)
    get = _awaiting(calls.get)
    losses = _awaiting(calls.losses)
    cancel = _awaiting(calls.cancel)
    pause = _awaiting(calls.pause)
    resume = _awaiting(calls.resume)
    clone = _awaiting(calls.clone)
    delete = _awaiting(calls.delete)
    report = _awaiting(calls.report)
    report_markdown = _awaiting(calls.report_markdown)
    embedded = _awaiting(calls.embedded)
    set_alias = _awaiting(calls.set_alias)
    jobs = _async_list(calls.jobs)
    logs = _async_list(calls.logs)
    models = _async_list(calls.models)
    datasets = _async_list(calls.datasets)

    # ------------------------------------------------------------------------- several requests

    async def wait(
        self, job_id: str, *, timeout_s: float | None = None, poll_s: float = 1.0
    ) -> Job:
        """Wait until the job has finished, however it ends.

        Raises:
            TimeoutError: It has not after `timeout_s` seconds; it runs on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (job := await self.get(job_id)).is_finished:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} is still {job.status} after {timeout_s:g} s")
            await self._sleep(poll_s)
        return job

    async def watch(self, job_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """What happens to the job, from its first event to its last; reconnects where cut off.

        Args:
            job_id: The job.
            after: Number of the last event already seen.
        """
        tries = Tries(self._url)
        while True:
            cut_off_by: httpx.TransportError | None = None
            try:
                async for event in self._stream_events(job_id, after):
                    yield event
                    after, tries = event.id, Tries(self._url)
                    if event.is_terminal:
                        return
            except httpx.TransportError as error:
                cut_off_by = error
            await self._sleep(tries.delay_after(cut_off_by))

    async def embed(
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
        return join_windows([await self.send(part) for part in parts])

    async def embed_segments(
        self, windows: GivenWindows, *, fs_hz: float | None = None, model: str = "default"
    ) -> SegmentEmbeddings:
        """Embed every segment of windows; see `embed`."""
        parts = calls.embed_parts(windows, fs_hz=fs_hz, model=model, granularity="segment")
        return join_segments([await self.send(part) for part in parts])

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """The job's checkpoints and their files."""
        return [found async for found in self.pages(calls.checkpoint_pages(job_id))]

    async def download(
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

        async def list_files() -> list[File]:
            found = await self.checkpoints(job_id)
            return calls.chosen_files(found, job_id, checkpoint, files)

        return await self._save(out, f"/v1/jobs/{job_id}/checkpoints/{checkpoint}", list_files)

    async def download_report(self, job_id: str, out: Path) -> list[Path]:
        """Download a report with its pictures into a folder, checked against their sha256.

        Returns:
            Where the files are now.

        Raises:
            RefusedError: The job is no evaluation, or has not succeeded (yet).
            ServiceError: What arrived is not what the service said it sends.
        """

        async def list_files() -> list[File]:
            return listed_files(await self.report(job_id))

        return await self._save(out, f"/v1/jobs/{job_id}/report", list_files)

    async def download_embeddings(self, job_id: str, out: Path) -> list[Path]:
        """Download the embeddings of a job into a folder, checked against their sha256.

        Returns:
            Where the Parquet file is now.

        Raises:
            RefusedError: The job is of another kind, or has not succeeded (yet).
            ServiceError: What arrived is not what the service said it sends.
        """

        async def list_files() -> list[File]:
            return listed_files(await self.embedded(job_id))

        return await self._save(out, f"/v1/jobs/{job_id}/embeddings", list_files)

    # ----------------------------------------------------------------------------- the wire

    async def send(self, call: Call[Made]) -> Made:
        """Make a request, again where that may help, and read its answer.

        Raises:
            ServiceError: It failed.
        """
        tries = Tries(self._url)
        while True:
            try:
                answer = await self._http.request(call.method, call.path, **call.request)
            except NO_URL as error:
                raise no_url_error(self._url) from error
            except httpx.TransportError as error:
                delay_s = tries.delay_after(error)
            else:
                delay_s = tries.delay_as_told(answer)
                if delay_s is None:
                    return call.read(answer)
            await self._sleep(delay_s)

    async def pages(self, pages: Pages[Made]) -> AsyncIterator[Made]:
        """The items of a list, page by page.

        Raises:
            ServiceError: A request for a page failed.
        """
        after: Any = None
        while True:
            page = await self.send(pages.call(after))
            for item in pages.items(page):
                yield item
            if not page["has_more"]:
                return
            after = page["next"]

    async def _stream_events(self, job_id: str, after: int) -> AsyncIterator[Event]:
        asked = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        route = f"/v1/jobs/{job_id}/events"
        async with self._http.stream("GET", route, headers=asked) as answer:
            if answer.status_code in WORTH_RETRYING:
                return
            if not answer.is_success:
                await answer.aread()
                raise_for_problem(answer)
            parser = EventParser()
            async for line in answer.aiter_lines():
                if (event := parser.feed(line)) is not None:
                    yield event

    async def _save(
        self, out: Path, route: str, list_files: Callable[[], Awaitable[list[File]]]
    ) -> list[Path]:
        """Download the listed files, all of one listing, and move them to `out` together."""
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".download-", dir=out) as folder:
            tries = Tries(self._url)
            while True:
                wanted = await list_files()
                calls.refuse_paths(wanted)
                try:
                    for file in wanted:
                        await self._fetch(f"{route}/{file.name}", file, Path(folder))
                    return move_all(wanted, Path(folder), out)
                except (DamagedError, httpx.TransportError) as error:
                    delay_s = tries.delay_after(error)
                await self._sleep(delay_s)

    async def _fetch(self, route: str, file: File, folder: Path) -> None:
        async with self._http.stream("GET", route) as answer:
            if answer.status_code == HTTPStatus.NOT_FOUND:
                raise gone(file)
            if not answer.is_success:
                await answer.aread()
                raise_for_problem(answer)
            with Incoming(folder, file) as incoming:
                async for chunk in answer.aiter_bytes(CHUNK_BYTES):
                    incoming.add(chunk)
        incoming.check()
