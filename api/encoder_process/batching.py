"""Windows of many requests, gathered into batches by what they cost, computed on one thread.

One thread, because PyTorch already uses all cores for one forward pass. It never waits for a batch
to fill: whatever came while the last batch was computed makes the next one, so a lone request is
computed at once and a flood in full batches. Requests take turns, a batch each: a request of many
windows does not hold up one of few. A request whose client left is dropped before its turn.

    submit ─► queue ─ first in turn, joined by windows of the same kind ─► batch ─► rows ─► future
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from api.encoder_process.messages import BatchDone, Floats
from ppgssl.inference.granularity import Granularity

if TYPE_CHECKING:
    from ppgssl.inference.encoder import PpgEncoder


@dataclass(frozen=True, slots=True)
class WindowKind:
    """What windows have to share to be computed together; `num_samples` at their own rate."""

    encoder: "PpgEncoder"
    num_samples: int
    fs_hz: float | None
    granularity: Granularity

    @property
    def cost(self) -> int:
        """Of one window: its samples at the encoder's rate."""
        return self.encoder.cost(self.num_samples, self.fs_hz)


@dataclass(frozen=True, slots=True)
class Group:
    """Sound windows (N, T) of one request and one kind, and their places in the request."""

    kind: WindowKind
    places: Sequence[int]
    windows: Floats

    @property
    def cost(self) -> int:
        """Of all its windows."""
        return self.kind.cost * len(self.places)

    def split(self, size: int) -> "tuple[Group, Group]":
        """The first windows, and the others; nothing is copied."""
        first = Group(self.kind, self.places[:size], self.windows[:size])
        return first, Group(self.kind, self.places[size:], self.windows[size:])


@dataclass(frozen=True, slots=True)
class WindowRows:
    """What one window gave: embeddings (R, D) and quality (R,)."""

    embedding: Floats
    quality: Floats


Result = dict[int, WindowRows]
"""Of one request, by the windows' places in it."""


class _Request:
    """Windows that wait, results so far, and who is told when all are there."""

    def __init__(self, number: int, groups: Iterable[Group]) -> None:
        self.number = number
        self.future: Future[Result] = Future()
        self._waiting = {group.kind: group for group in groups}
        self._missing = sum(len(group.places) for group in self._waiting.values())
        self._result: Result = {}

    @property
    def next_kind(self) -> WindowKind:
        """What comes first."""
        return next(iter(self._waiting))

    @property
    def waits(self) -> bool:
        """There are windows that no batch has yet, and somebody wants them."""
        return bool(self._waiting) and not self.future.done()

    def take(self, kind: WindowKind, size: int) -> Group | None:
        """At most so many of its windows of a kind; None where it has none."""
        group = self._waiting.pop(kind, None)
        if group is None:
            return None
        taken, rest = group.split(size)
        if rest.places:
            self._waiting[kind] = rest
        return taken

    def add(self, places: Sequence[int], rows: Sequence[WindowRows]) -> None:
        """Note results; the last ones are the answer."""
        self._result.update(zip(places, rows, strict=True))
        self._missing -= len(places)
        if not self._missing and self.future.set_running_or_notify_cancel():
            self.future.set_result(self._result)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless nobody waits any more."""
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Batcher:
    """Computes what is submitted, on a thread of its own, until closed.

    Args:
        tell: Called with every batch that was computed, before its requests have their results.
    """

    def __init__(self, tell: Callable[[BatchDone], None]) -> None:
        self._tell = tell
        self._changed = threading.Condition()
        self._requests: deque[_Request] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="encoder")
        self._thread.start()

    def submit(self, number: int, groups: Sequence[Group]) -> "Future[Result]":
        """Queue one request's windows; cancel the future to drop those that wait still."""
        request = _Request(number, groups)
        if not groups:
            request.add([], [])
        with self._changed:
            self._requests.append(request)
            self._changed.notify()
        return request.future

    def close(self) -> None:
        """Wait for the batch that is being computed; whoever waits has no answer."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    # ------------------------------------------------------------------- on the encoder's thread

    def _run(self) -> None:
        self._turn_began = time.perf_counter()
        while batch := self._next_batch():
            self._compute(batch)

    def _next_batch(self) -> list[tuple[_Request, Group]]:
        """What is computed next; nothing once closed."""
        with self._changed:
            while not self._closed:
                self._requests = deque(request for request in self._requests if request.waits)
                if self._requests:
                    return self._gather()
                self._changed.wait()
                self._turn_began = time.perf_counter()
        return []

    def _gather(self) -> list[tuple[_Request, Group]]:
        kind = self._requests[0].next_kind
        room = kind.encoder.windows_at_once(kind.num_samples, kind.fs_hz)
        batch: list[tuple[_Request, Group]] = []
        for request in self._requests:
            group = request.take(kind, room)
            if group is not None:
                batch.append((request, group))
                room -= len(group.places)
            if not room:
                break
        self._requests.rotate(-1)
        return batch

    def _compute(self, batch: Sequence[tuple[_Request, Group]]) -> None:
        began = time.perf_counter()
        try:
            rows = embed_together([group for _, group in batch])
        except Exception as error:  # whatever it is, somebody waits for an answer
            for request, _ in batch:
                request.fail(error)
        else:
            self._tell(self._done(batch, began))
            for request, group in batch:
                request.add(group.places, rows[: len(group.places)])
                del rows[: len(group.places)]

    def _done(self, batch: Sequence[tuple[_Request, Group]], began: float) -> BatchDone:
        ended = time.perf_counter()
        turn_s, self._turn_began = ended - self._turn_began, ended
        return BatchDone(
            sum(len(group.places) for _, group in batch),
            ended - began,
            turn_s,
            [(request.number, group.cost) for request, group in batch],
        )


def embed_together(groups: Sequence[Group]) -> list[WindowRows]:
    """Embed groups of one kind; the windows of a lone group are not copied."""
    kind = groups[0].kind
    windows = groups[0].windows if len(groups) == 1 else np.concatenate([g.windows for g in groups])
    rows = kind.encoder.embed_sound(windows, kind.fs_hz, kind.granularity)
    return [WindowRows(*row) for row in zip(rows.embedding, rows.quality, strict=True)]
