"""The encoder process: started by the API with one end of a socket pair, of no use alone."""

import argparse
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedReader
from itertools import accumulate, islice

import numpy as np

from api.encoder_process.batching import Batcher, Group, Result, WindowKind
from api.encoder_process.loaded_encoders import LoadedEncoders
from api.encoder_process.messages import (
    BatchDone,
    Embed,
    Embedded,
    Failed,
    Floats,
    Forget,
    encode,
    read,
)
from ppgssl.errors import PpgsslError
from ppgssl.inference.encoder import PpgEncoder
from ppgssl.inference.granularity import Granularity
from ppgssl.jobs.structured_logging import configure_logging
from ppgssl.threads import keep_for_good, take_short_turns

log = logging.getLogger("api.encoder_process")

AFTER_THE_API = 10  # nice value; refusing what is too much is worth more than computing
BUFFER_BYTES = 2**20


class EncoderServer:
    """Answers what comes through a socket, until its other end is closed.

    Args:
        channel: This process's end.
        encoders: What it embeds with.
    """

    def __init__(self, channel: socket.socket, encoders: LoadedEncoders) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._encoders = encoders
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._batcher = Batcher(encoders.num_lanes, self._send)
        self._asked: dict[int, Future[Result]] = {}

    def run(self) -> None:
        """Serve; whoever waits at the end has no answer."""
        with BufferedReader(self._channel.makefile("rb", buffering=0), BUFFER_BYTES) as stream:
            while (message := read(stream)) is not None:
                if isinstance(message, Embed):
                    self._take(message)
                elif isinstance(message, Forget) and message.number in self._asked:
                    self._asked[message.number].cancel()
        self._loading.shutdown(cancel_futures=True)
        self._batcher.close()

    def _take(self, asked: Embed) -> None:
        encoder = self._encoders.at_hand(asked.sha256)
        if encoder is None:
            self._loading.submit(self._load_and_queue, asked)
        else:
            self._queue(asked, encoder)

    def _load_and_queue(self, asked: Embed) -> None:
        try:
            encoder = self._encoders.load(asked.folder, asked.sha256)
        except Exception as error:  # whatever it is, somebody waits for an answer
            self._fail(asked.number, error)
        else:
            self._queue(asked, encoder)

    def _queue(self, asked: Embed, encoder: PpgEncoder) -> None:
        future = self._batcher.submit(asked.number, list(_groups(asked, encoder)))
        self._asked[asked.number] = future
        future.add_done_callback(lambda done: self._answer(asked, done))

    def _answer(self, asked: Embed, done: "Future[Result]") -> None:
        self._asked.pop(asked.number, None)
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._fail(asked.number, error)
        else:
            counts = [len(windows) for windows in asked.arrays]
            self._send(Embedded(asked.number, list(_answers(done.result(), counts))))

    def _fail(self, number: int, error: BaseException) -> None:
        if isinstance(error, PpgsslError):
            self._send(Failed(number, error.code, str(error)))
        else:
            log.error("windows could not be embedded", exc_info=error)
            self._send(Failed(number, "", f"{type(error).__name__}: {error}"))

    def _send(self, message: Embedded | Failed | BatchDone) -> None:
        with self._sending:
            try:
                for piece in encode(message):
                    self._channel.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                log.info("nobody waits for answers any more")


def _groups(asked: Embed, encoder: PpgEncoder) -> Iterator[Group]:
    """Windows of each length, their places those in all that was asked for."""
    starts = accumulate((len(windows) for windows in asked.arrays), initial=0)
    for windows, start in zip(asked.arrays, starts, strict=False):
        kind = WindowKind(encoder, windows.shape[1], asked.fs_hz, Granularity(asked.granularity))
        yield Group(kind, range(start, start + len(windows)), windows)


def _answers(result: Result, counts: Sequence[int]) -> Iterator[Floats]:
    """Embeddings and quality of each group, its windows in order."""
    in_order = (result[place] for place in range(len(result)))
    for count in counts:
        rows = list(islice(in_order, count))
        yield np.stack([row.embedding for row in rows])
        yield np.stack([row.quality for row in rows])


def main() -> None:
    """Serve the API that started this process, until it closes its end or is gone."""
    parser = argparse.ArgumentParser(prog="python -m api.encoder_process", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="this process's end of the pair")
    parser.add_argument("--device", required=True)
    parser.add_argument("--cache-bytes", type=int, required=True)
    parser.add_argument("--log-level", required=True)
    given = parser.parse_args()
    for stopping in (signal.SIGINT, signal.SIGTERM):  # are for the API, which closes its end then
        signal.signal(stopping, signal.SIG_IGN)
    os.nice(AFTER_THE_API)
    take_short_turns()
    keep_for_good()
    configure_logging(given.log_level)
    with socket.socket(fileno=given.fd) as channel:
        EncoderServer(channel, LoadedEncoders(given.device, given.cache_bytes)).run()


if __name__ == "__main__":
    main()
