"""What is said between the API and its encoder process arrives as it was said."""

import asyncio
import socket
import threading

import numpy as np
import pytest

from api.encoder_process.messages import (
    BatchDone,
    Embed,
    Embedded,
    Failed,
    Forget,
    Message,
    encode,
    read,
    receive,
)
from ppgssl.inference.granularity import Granularity

RNG = np.random.default_rng(0)
WINDOWS = RNG.standard_normal((3, 1250), dtype=np.float32)
MESSAGES = [
    Embed(1, "folder/é", "ab", None, Granularity.SEGMENT, [WINDOWS, WINDOWS[:1, :300]]),
    Embed(2, "folder", "ab", 99.5, Granularity.WINDOW, []),
    Embed(3, "folder", "ab", 125.0, Granularity.WINDOW, [np.repeat(WINDOWS, 100, axis=0)]),
    Forget(3),
    Embedded(1, [WINDOWS[:, None, :512], WINDOWS[:, :1], np.empty((0, 1, 512), np.float32)]),
    Failed(1, "checkpoint_invalid", "damaged"),
    BatchDone(3, 0.1, [[1, 3750], [2, 1250]]),
]


def assert_same(received: Message | None, sent: Message) -> None:
    assert type(received) is type(sent)
    assert received[:-1] == sent[:-1]
    assert [array.tolist() for array in received.arrays] == [a.tolist() for a in sent.arrays]


def speak(channel: socket.socket) -> threading.Thread:
    """Say all messages, whoever listens, and close the channel."""

    def send() -> None:
        with channel:
            for message in MESSAGES:
                channel.sendall(b"".join(encode(message)))

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_the_process_reads_what_is_sent():
    ours, theirs = socket.socketpair()
    speaking = speak(theirs)

    with ours, ours.makefile("rb") as stream:
        for sent in MESSAGES:
            assert_same(read(stream), sent)
        assert read(stream) is None
    speaking.join()


def test_the_api_receives_what_is_sent():
    ours, theirs = socket.socketpair()

    async def listen() -> None:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        for sent in MESSAGES:
            assert_same(await receive(reader), sent)
        with pytest.raises(asyncio.IncompleteReadError):
            await receive(reader)
        writer.close()

    speaking = speak(theirs)
    asyncio.run(listen())
    speaking.join()


def test_a_message_that_breaks_off_is_none():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"".join(encode(MESSAGES[0]))[:-1])

    with ours, ours.makefile("rb") as stream:
        assert read(stream) is None


def test_windows_are_sent_from_where_they_lie():
    _, sent = encode(Embed(1, "folder", "ab", None, Granularity.WINDOW, [WINDOWS]))

    assert np.shares_memory(np.frombuffer(sent, np.float32), WINDOWS)
