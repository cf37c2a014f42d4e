"""The encoder process as the API sees it: started when first needed, and again where it died."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from socket import socketpair

from api.encoder_process.backlog import Backlog
from api.encoder_process.messages import (
    BatchDone,
    Embed,
    Embedded,
    Failed,
    Floats,
    Forget,
    Message,
    encode,
    receive,
)
from api.known_encoders import KnownEncoder
from api.metrics import Metrics
from api.problems import RETRY_AFTER_S, ProblemError
from ppgssl.errors import CheckpointError, DeviceError, PpgsslError
from ppgssl.inference.granularity import Granularity
from ppgssl.jobs.settings import Settings
from ppgssl.threads import let_idle_threads_sleep

log = logging.getLogger(__name__)

PROGRAM = (sys.executable, "-m", "api.encoder_process")
STOP_SECONDS = 10.0  # a batch takes less
ERRORS: dict[str, type[PpgsslError]] = {kind.code: kind for kind in (CheckpointError, DeviceError)}
"""What the process may raise on purpose."""


@dataclass(slots=True)
class _Life:
    """One process from its start to its end, and who waits for its answers."""

    process: "subprocess.Popen[bytes]"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    waiting: "dict[int, asyncio.Future[Sequence[Floats]]]" = field(default_factory=dict)

    def send(self, message: Message) -> None:
        """Sent from the event loop as it can be, in the order of these calls."""
        self.writer.writelines(encode(message))


class EncoderProcess:
    """Embeds windows in another process; for the event loop only.

    Args:
        settings: The device, and how much memory encoders may take.
        metrics: Counts batches.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._backlog = Backlog()
        self._numbers = count()
        self._life: _Life | None = None
        self._listening: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._closed = False
        self.wait_s = self._backlog.wait_s

    async def embed(
        self,
        known: KnownEncoder,
        windows: Sequence[Floats],
        fs_hz: float | None,
        granularity: Granularity,
    ) -> Sequence[Floats]:
        """Embed windows that are sound; a cancelled call is dropped there, too.

        Args:
            known: The encoder.
            windows: Arrays (N, T), one for each length; none loads the encoder.
            fs_hz: Their sampling rate, Hz; None is the encoder's own.
            granularity: What one row describes.

        Returns:
            For each array embeddings (N, R, D) and quality (N, R), by turns.

        Raises:
            CheckpointError: The encoder is damaged, or was replaced.
            DeviceError: This machine does not have the device.
            ProblemError: 503, the service is being stopped, or the process died.
        """
        life = await self._running()
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        life.waiting[number] = answer
        encoder = known.encoder
        cost = sum(len(each) * encoder.cost(each.shape[1], fs_hz) for each in windows)
        self._backlog.add(number, cost)
        asked = Embed(number, str(known.folder), encoder.info.sha256, fs_hz, granularity, windows)
        life.send(asked)
        try:
            return await answer
        finally:
            if answer.cancelled() and not life.writer.is_closing():
                life.send(Forget(number))
            life.waiting.pop(number, None)
            self._backlog.remove(number)

    async def close(self) -> None:
        """Let it finish its batch; whoever waits then is told to come back."""
        self._closed = True
        if self._life is None or self._listening is None:
            return
        self._life.writer.write_eof()
        try:
            await asyncio.wait_for(asyncio.shield(self._listening), STOP_SECONDS)
        except TimeoutError:
            self._life.process.kill()
            await self._listening

    async def _running(self) -> _Life:
        async with self._starting:
            if self._closed:
                raise _stopping()
            if self._life is None:
                self._life = await self._start()
                self._listening = asyncio.create_task(self._listen(self._life))
            return self._life

    async def _start(self) -> _Life:
        ours, theirs = socketpair()
        with theirs:
            options = {
                "--fd": theirs.fileno(),
                "--device": self._settings.device,
                "--cache-bytes": self._settings.encoder_cache_bytes,
                "--log-level": self._settings.log_level,
            }
            given = [str(word) for option in options.items() for word in option]
            environment = dict(os.environ)
            let_idle_threads_sleep(environment)
            process = subprocess.Popen(
                [*PROGRAM, *given], pass_fds=[theirs.fileno()], env=environment
            )
        return _Life(process, *await asyncio.open_unix_connection(sock=ours))

    async def _listen(self, life: _Life) -> None:
        """Pass on what the process says; once it is gone, tell those who wait."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self._note(life, await receive(life.reader))
        self._life = None
        life.writer.close()
        status = await asyncio.to_thread(life.process.wait)
        if self._closed:
            error = _stopping()
        else:
            log.error("the encoder process ended with %d; the next request starts another", status)
            error = _unavailable(
                "encoder_process_lost",
                f"the process that embeds ended with {status} (out of memory?); try again, with "
                "fewer or shorter windows where it happens again",
            )
        for answer in life.waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _note(self, life: _Life, message: Message) -> None:
        if isinstance(message, BatchDone):
            self._metrics.embedding_seconds.observe(message.seconds)
            self._metrics.batch_windows.observe(message.num_windows)
            self._backlog.lessen(message.parts)
        elif isinstance(message, Embedded | Failed):
            answer = life.waiting.get(message.number)
            if answer is None or answer.done():
                return
            if isinstance(message, Embedded):
                answer.set_result(message.arrays)
            else:
                answer.set_exception(ERRORS.get(message.code, RuntimeError)(message.detail))


def _stopping() -> ProblemError:
    return _unavailable("stopping", "the service is being stopped; try again")


def _unavailable(code: str, detail: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers={"Retry-After": str(RETRY_AFTER_S)}
    )
