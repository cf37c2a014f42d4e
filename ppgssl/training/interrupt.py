"""Turn SIGINT and SIGTERM into a request to stop, so that a run ends with a checkpoint."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yield a `should_stop` that turns true with the first signal; the second one acts as usual."""
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    received = False

    def receive(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        signal.signal(number, earlier[number])

    for number in SIGNALS:
        signal.signal(number, receive)
    try:
        yield lambda: received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
