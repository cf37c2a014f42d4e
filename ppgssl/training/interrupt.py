"""Turn SIGINT and SIGTERM into a request to stop, so that a run ends with a checkpoint."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Generator[Callable[[], bool]]:
    """Yield a `should_stop` that turns true with the first signal; the second one acts as usual."""
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    received = False

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        restore()

    for number in SIGNALS:
        signal.signal(number, receive)
    try:
        yield lambda: received
    finally:
        restore()
