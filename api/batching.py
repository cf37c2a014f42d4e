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
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from api.metrics import Metrics
from api.problems import RETRY_AFTER_S, ProblemError
from ppgssl.inference.granularity import Granularity
from ppgssl.threads import come_after_others

if TYPE_CHECKING:
    from ppgssl.inference.encoder import PpgEncoder

NEWEST_SHARE = 0.3  # of the last batch in the running speed
AFTER_THE_EVENT_LOOP = 5  # nice value; refusing what is too much is worth more than computing

Floats = npt.NDArray[np.float32]


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

    def __init__(self, groups: Iterable[Group]) -> None:
        self.future: Future[Result] = Future()
        self._waiting = {group.kind: group for group in groups}
        self._missing = sum(len(group.places) for group in self._waiting.values())
        self._result: Result = {}

    @property
    def waiting_cost(self) -> int:
        """Of the windows that no batch has yet."""
        return sum(group.cost for group in self._waiting.values())

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
    """Computes what is submitted, on a thread of its own, until closed."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._changed = threading.Condition()
        self._requests: deque[_Request] = deque()
        self._waiting_cost = 0  # of windows in no batch yet, those of clients that left included
        self._computing_cost = 0
        self._cost_per_s: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="encoder")
        self._thread.start()

    def submit(self, groups: Sequence[Group]) -> "Future[Result]":
        """Queue one request's windows; cancel the future to drop those that wait still."""
        request = _Request(groups)
        if not groups:
            request.add([], [])
        with self._changed:
            if self._closed:
                request.fail(_stopping())
            self._requests.append(request)
            self._waiting_cost += request.waiting_cost
            self._changed.notify()
        return request.future

    def wait_s(self) -> float:
        """How long what waits will take, as fast as it went lately; 0 before the first batch."""
        if self._cost_per_s is None:
            return 0.0
        return (self._waiting_cost + self._computing_cost) / self._cost_per_s

    def close(self) -> None:
        """Wait for the batch that is being computed; whoever waits is told to come back."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for request in self._requests:
            request.fail(_stopping())

    # ------------------------------------------------------------------- on the encoder's thread

    def _run(self) -> None:
        come_after_others(AFTER_THE_EVENT_LOOP)  # with the lanes, which this thread starts
        self._turn_began = time.perf_counter()
        while batch := self._next_batch():
            self._compute(batch)

    def _next_batch(self) -> list[tuple[_Request, Group]]:
        """What is computed next; nothing once closed."""
        with self._changed:
            while not self._closed:
                self._drop_unwanted()
                if self._requests:
                    return self._gather()
                self._changed.wait()
                self._turn_began = time.perf_counter()
        return []

    def _drop_unwanted(self) -> None:
        self._requests = deque(request for request in self._requests if request.waits)
        self._waiting_cost = sum(request.waiting_cost for request in self._requests)

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
        self._computing_cost = sum(group.cost for _, group in batch)
        self._waiting_cost -= self._computing_cost
        return batch

    def _compute(self, batch: Sequence[tuple[_Request, Group]]) -> None:
        began = time.perf_counter()
        try:
            rows = embed_together([group for _, group in batch])
        except Exception as error:  # whatever it is, somebody waits for an answer
            for request, _ in batch:
                request.fail(error)
        else:
            self._note_speed(began, time.perf_counter())
            self._metrics.batch_windows.observe(len(rows))
            for request, group in batch:
                request.add(group.places, rows[: len(group.places)])
                del rows[: len(group.places)]
        self._computing_cost = 0

    def _note_speed(self, began: float, ended: float) -> None:
        """Of a whole turn: what lies between two batches keeps those waiting, too, who wait."""
        self._metrics.embedding_seconds.observe(ended - began)
        newest = self._computing_cost / (ended - self._turn_began)
        self._turn_began = ended
        if self._cost_per_s is None:
            self._cost_per_s = newest
        self._cost_per_s += NEWEST_SHARE * (newest - self._cost_per_s)


def embed_together(groups: Sequence[Group]) -> list[WindowRows]:
    """Embed groups of one kind; the windows of a lone group are not copied."""
    kind = groups[0].kind
    windows = groups[0].windows if len(groups) == 1 else np.concatenate([g.windows for g in groups])
    rows = kind.encoder.embed_sound(windows, kind.fs_hz, kind.granularity)
    return [WindowRows(*row) for row in zip(rows.embedding, rows.quality, strict=True)]


def _stopping() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "stopping",
        "the service is being stopped; try again",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
