"""Windows of many requests, gathered into batches by what they cost, a batch on every lane.

A lane is a thread that computes on a core of its own, so that none waits for another; a GPU has one
lane. None waits for a batch to fill: it takes its share of whatever came meanwhile, so a lone
request is computed at once and a flood in full batches. A lone long window gets all cores. Requests
take turns, a batch each: a request of many windows does not hold up one of few. A request whose
client left is dropped before its turn.

    submit ─► queue ─ first in turn, joined by windows of the same kind ─► batch ─► rows ─► future
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from api.encoder_process.messages import BatchDone, Floats, WindowRows
from ppgssl.inference.encoder import ONE_CORE_SAMPLES, PpgEncoder
from ppgssl.inference.granularity import Granularity
from ppgssl.inference.lanes import start_lanes


@dataclass(frozen=True, slots=True)
class WindowKind:
    """What windows have to share to be computed together; `num_samples` at their own rate."""

    encoder: PpgEncoder
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

    def num_waiting(self, kind: WindowKind) -> int:
        """Its windows of a kind that no batch has yet."""
        return len(self._waiting[kind].places) if kind in self._waiting else 0

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
    """Computes what is submitted, on lanes of its own, until closed.

    Args:
        num_lanes: How many batches are computed side by side.
        tell: Called with every batch that was computed, before its requests have their results.
    """

    def __init__(self, num_lanes: int, tell: Callable[[BatchDone], None]) -> None:
        self._tell = tell
        self._changed = threading.Condition()
        self._requests: deque[_Request] = deque()
        self._closed = False
        self._num_lanes = self._num_idle = num_lanes
        self._all_cores = ThreadPoolExecutor(1, thread_name_prefix="all-cores")
        self._lanes = start_lanes(num_lanes)
        for _ in range(num_lanes):
            self._lanes.submit(self._run)

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
        """Wait for the batches that are being computed; whoever waits has no answer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._lanes.shutdown()
        self._all_cores.shutdown()

    # ------------------------------------------------------------------------------- on the lanes

    def _run(self) -> None:
        while batch := self._next_batch():
            self._compute(batch)
            with self._changed:
                self._num_idle += 1

    def _next_batch(self) -> "_Batch | None":
        """What this lane computes next; nothing once closed."""
        with self._changed:
            while not self._closed:
                self._requests = deque(request for request in self._requests if request.waits)
                if self._requests:
                    return self._gather()
                self._changed.wait()
        return None

    def _gather(self) -> "_Batch":
        kind = self._requests[0].next_kind
        num_waiting = sum(request.num_waiting(kind) for request in self._requests)
        share = -(-num_waiting // self._num_idle)
        room = min(share, kind.encoder.windows_per_lane(kind.num_samples, kind.fs_hz))
        parts: list[tuple[_Request, Group]] = []
        for request in self._requests:
            group = request.take(kind, room)
            if group is not None:
                parts.append((request, group))
                room -= len(group.places)
            if not room:
                break
        self._requests.rotate(-1)
        is_alone = num_waiting == 1 and self._num_idle == self._num_lanes
        is_long = kind.cost > ONE_CORE_SAMPLES
        self._num_idle -= 1
        self._changed.notify()  # there may be more for another lane
        return _Batch(parts, on_all_cores=is_alone and is_long)

    def _compute(self, batch: "_Batch") -> None:
        began = time.perf_counter()
        groups = [group for _, group in batch.parts]
        try:
            if batch.on_all_cores:
                rows = self._all_cores.submit(embed_together, groups).result()
            else:
                rows = embed_together(groups)
        except Exception as error:  # whatever it is, somebody waits for an answer
            for request, _ in batch.parts:
                request.fail(error)
            return
        seconds = time.perf_counter() - began
        costs = [(request.number, group.cost) for request, group in batch.parts]
        self._tell(BatchDone(len(rows), seconds, costs))
        for request, group in batch.parts:
            request.add(group.places, rows[: len(group.places)])
            del rows[: len(group.places)]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Windows of one kind, and whether all cores compute it: nothing else is there."""

    parts: Sequence[tuple[_Request, Group]]
    on_all_cores: bool


def embed_together(groups: Sequence[Group]) -> list[WindowRows]:
    """Embed groups of one kind; the windows of a lone group are not copied."""
    kind = groups[0].kind
    windows = groups[0].windows if len(groups) == 1 else np.concatenate([g.windows for g in groups])
    rows = kind.encoder.embed_sound(windows, kind.fs_hz, kind.granularity)
    return [WindowRows(*row) for row in zip(rows.embedding, rows.quality, strict=True)]
