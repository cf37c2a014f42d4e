"""How many embedding requests are taken in: bounded by the memory of their bodies and by the wait.

Refused requests are answered 429 with `Retry-After` before their bodies are read. Used on the event
loop only.
"""

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus

from api.problems import ProblemError
from ppgssl.jobs.settings import Settings

LONGEST_RETRY_S = 60


class Place:
    """One request's part of the room."""

    def __init__(self, room: "EmbeddingRoom") -> None:
        self._room = room
        self.num_bytes = 0

    def add(self, num_bytes: int) -> None:
        """Hold so many more bytes of the body.

        Raises:
            ProblemError: 429, others hold too much.
        """
        self._room.check_bytes(num_bytes, held_by_itself=self.num_bytes)
        self.num_bytes += num_bytes
        self._room.held_bytes += num_bytes


class EmbeddingRoom:
    """What embedding requests hold together.

    Args:
        settings: How much they may hold, and how long they may wait.
        wait_s: How long a new request would wait.
    """

    def __init__(self, settings: Settings, wait_s: Callable[[], float]) -> None:
        self._max_bytes = settings.embedding_queue_bytes
        self._max_wait_s = settings.embedding_wait_seconds
        self._wait_s = wait_s
        self.held_bytes = 0

    @contextmanager
    def place(self) -> Generator[Place]:
        """Room for one request until it is answered.

        Raises:
            ProblemError: 429, it would wait too long, or there is no memory for its body.
        """
        self.check_wait()
        self.check_bytes(1, held_by_itself=0)
        place = Place(self)
        try:
            yield place
        finally:
            self.held_bytes -= place.num_bytes

    def check_wait(self) -> None:
        """Refuse who would wait too long.

        Raises:
            ProblemError: 429, the queue is longer than that.
        """
        wait_s = self._wait_s()
        if wait_s > self._max_wait_s:
            raise self._full(f"a request would wait {wait_s:.0f} s")

    def check_bytes(self, num_bytes: int, *, held_by_itself: int) -> None:
        """Refuse what does not fit beside others; whoever is alone fits.

        Raises:
            ProblemError: 429, others hold too much.
        """
        others = self.held_bytes - held_by_itself
        if others and self.held_bytes + num_bytes > self._max_bytes:
            raise self._full(f"requests of {self.held_bytes} bytes wait already")

    def _full(self, why: str) -> ProblemError:
        retry_s = min(LONGEST_RETRY_S, max(1, math.ceil(self._wait_s() - self._max_wait_s)))
        return ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "busy",
            f"{why}; try again after {retry_s} s, or embed on a second machine",
            headers={"Retry-After": str(retry_s)},
        )
