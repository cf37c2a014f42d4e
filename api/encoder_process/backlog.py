"""How much is being waited for in the encoder process, and how long that will take."""

NEWEST_SHARE = 0.3  # of the last batch in the running speed


class Backlog:
    """What was asked for and is not computed, in samples at the encoder's rate."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        self._total = 0
        self._cost_per_s: float | None = None

    def add(self, number: int, cost: int) -> None:
        """A request came."""
        self._left[number] = cost
        self._total += cost

    def lessen(self, number: int, cost: int) -> None:
        """So much of it is computed; nothing where it is gone already."""
        if number in self._left:
            self._left[number] -= cost
            self._total -= cost

    def remove(self, number: int) -> None:
        """It is answered, or nobody waits for it."""
        self._total -= self._left.pop(number, 0)

    def note_speed(self, cost: int, seconds: float) -> None:
        """Of a whole turn: what lies between two batches keeps those waiting, too, who wait."""
        newest = cost / seconds
        if self._cost_per_s is None:
            self._cost_per_s = newest
        self._cost_per_s += NEWEST_SHARE * (newest - self._cost_per_s)

    def wait_s(self) -> float:
        """How long what waits will take, as fast as it went lately; 0 before the first batch."""
        return self._total / self._cost_per_s if self._cost_per_s else 0.0
