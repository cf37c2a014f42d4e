"""How a signal tells the loop that it interrupts to stop."""

from contextlib import suppress
from queue import Empty, SimpleQueue


class StopRequest:
    """Made by a signal handler, waited for by the thread that it interrupts, and by no other.

    A `threading.Event` is not for that: its `set` needs a lock that the interrupted `wait` may be
    holding, and then neither goes on.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wake: SimpleQueue[None] = SimpleQueue()  # whose `put` a signal handler may call

    def set(self) -> None:
        """Ask to stop."""
        self._is_set = True
        self._wake.put(None)

    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._is_set

    def wait(self, seconds: float) -> None:
        """Return as soon as somebody asks, or after so long."""
        if not self._is_set:
            with suppress(Empty):
                self._wake.get(timeout=seconds)
