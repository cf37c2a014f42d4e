"""A clock that only moves when told to."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Time that stands still between calls of `advance`."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
