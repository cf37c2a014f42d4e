"""What the API and its encoder process say to each other, over a socket pair.

A message is a head in JSON, and arrays of float32 that are sent from where they lie and received
where they are used:

    uint32 bytes of the head │ uint64 bytes of the arrays │ head │ arrays, one after the other

Axes used in this file:
    N  windows    T  samples of a window    R  rows of a window    D  width of an embedding
"""

import asyncio
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from socket import SocketIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from ppgssl.inference.granularity import Granularity

Floats = npt.NDArray[np.float32]

LENGTHS = struct.Struct("=IQ")


@dataclass(frozen=True, slots=True)
class WindowRows:
    """What one window gave: embeddings (R, D) and quality (R,)."""

    embedding: Floats
    quality: Floats


class Embed(NamedTuple):
    """Embed windows that are sound; `arrays` are (N, T), one for each length.

    Attributes:
        number: Of this request, in what is said of it.
        folder: Where the encoder lies.
        sha256: Of its weights.
        fs_hz: The windows' sampling rate, Hz; None is the encoder's own.
        granularity: What one row describes.
    """

    number: int
    folder: str
    sha256: str
    fs_hz: float | None
    granularity: Granularity
    arrays: Sequence[Floats] = ()


class Forget(NamedTuple):
    """Nobody wants the answer any more."""

    number: int
    arrays: Sequence[Floats] = ()


class Embedded(NamedTuple):
    """The answer: embeddings (N, R, D) and quality (N, R) by turns, for each array of windows."""

    number: int
    arrays: Sequence[Floats] = ()


class Failed(NamedTuple):
    """Why there is no answer; `code` is that of a PpgsslError, or empty."""

    number: int
    code: str
    detail: str
    arrays: Sequence[Floats] = ()


class BatchDone(NamedTuple):
    """A batch was computed; its requests may have windows that no batch had yet.

    Attributes:
        num_windows: Of all its requests.
        seconds: That it took.
        parts: Number and computed cost of each request.
    """

    num_windows: int
    seconds: float
    parts: Sequence[tuple[int, int]]
    arrays: Sequence[Floats] = ()


Message = Embed | Forget | Embedded | Failed | BatchDone

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Embed, Forget, Embedded, Failed, BatchDone)
}


def encode(message: Message) -> list[bytes | memoryview]:
    """A message in pieces, to be sent one after the other; its arrays are not copied."""
    *fields, arrays = message
    whole = [np.ascontiguousarray(array, np.float32) for array in arrays]
    shapes = [array.shape for array in whole]
    head = orjson.dumps([type(message).__name__, *fields, shapes])
    lengths = LENGTHS.pack(len(head), sum(array.nbytes for array in whole))
    return [lengths + head, *(array.data.cast("B") for array in whole if array.size)]


def decode(head: bytes, content: bytes | bytearray) -> Message:
    """A message; its arrays are views of `content`."""
    kind, *fields, shapes = orjson.loads(head)
    return _KINDS[kind](*fields, arrays=_arrays(np.frombuffer(content, np.float32), shapes))


def read(stream: "BufferedReader[SocketIO]") -> Message | None:
    """The next message, once it is there; None where the other end is closed."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_bytes, content_bytes = LENGTHS.unpack(lengths)
    head = stream.read(head_bytes)
    content = bytearray(content_bytes)
    if stream.readinto(content) < content_bytes:
        return None
    return decode(head, content)


async def receive(stream: asyncio.StreamReader) -> Message:
    """The next message, once it is there.

    Raises:
        asyncio.IncompleteReadError: The other end is closed.
    """
    lengths = await stream.readexactly(LENGTHS.size)
    head_bytes, content_bytes = LENGTHS.unpack(lengths)
    head = await stream.readexactly(head_bytes)
    return decode(head, await stream.readexactly(content_bytes))


def _arrays(content: Floats, shapes: Sequence[Any]) -> list[Floats]:
    arrays = list[Floats]()
    start = 0
    for shape in shapes:
        size = math.prod(shape)
        arrays.append(content[start : start + size].reshape(shape))
        start += size
    return arrays
