"""How many requests somebody may send: one token bucket per key or address.

In memory and of this process alone. Knows neither requests nor keys, only names.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_BUCKETS = 10_000  # a flood from many addresses must not fill the memory


@dataclass(slots=True)
class Bucket:
    """`tokens` requests were left at the time `at`, seconds."""

    tokens: float
    at: float


class RateLimiter:
    """Lets everybody send `per_minute` requests at once, and so many a minute from then on.

    Args:
        per_minute: The limit; 0 is none.
        clock: Seconds that never go back.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, who: str) -> float:
        """Count a request of `who`: 0 where it may pass, else the seconds until one may."""
        if self.per_minute == 0:
            return 0.0
        bucket = self._filled(who)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) * 60 / self.per_minute

    def _filled(self, who: str) -> Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(who, Bucket(self.per_minute, now))
        gained = (now - bucket.at) * self.per_minute / 60
        bucket.tokens, bucket.at = min(self.per_minute, bucket.tokens + gained), now
        self._buckets.move_to_end(who)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)  # the one that was silent for longest
        return bucket
