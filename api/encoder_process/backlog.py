"""How much is being waited for in the encoder process, and how long that will take."""

import time
from collections.abc import Callable, Sequence

KEPT_SHARE = 0.7  # of what is known of the speed, with every batch that is done


class Backlog:
    """What was asked for and is not computed, in samples at the encoder's rate.

    Args:
        clock: Seconds since some moment.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._left: dict[int, int] = {}
        self._total = 0
        self._busy_since = 0.0
        self._lately_cost = self._lately_s = 0.0

    def add(self, number: int, cost: int) -> None:
        """A request came."""
        if not self._left:
            self._busy_since = self._clock()
        self._left[number] = cost
        self._total += cost

    def lessen(self, parts: Sequence[tuple[int, int]]) -> None:
        """A batch is done: so much is computed of these requests; some may be gone already."""
        now = self._clock()
        self._lately_cost = KEPT_SHARE * self._lately_cost + sum(cost for _, cost in parts)
        self._lately_s = KEPT_SHARE * self._lately_s + now - self._busy_since
        self._busy_since = now
        for number, cost in parts:
            if number in self._left:
                self._left[number] -= cost
                self._total -= cost

    def remove(self, number: int) -> None:
        """It is answered, or nobody waits for it."""
        self._total -= self._left.pop(number, 0)

    def wait_s(self) -> float:
        """How long what waits will take, as fast as it went lately; 0 before the first batch."""
        return self._total * self._lately_s / self._lately_cost if self._lately_cost else 0.0
