"""A request to stop is heard whenever its signal comes."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from worker.stop_request import StopRequest

FOREVER_S = 60.0


def moments_of_a_wait(stop: StopRequest, *, set_at: int | None = None) -> int:
    """How many times Python could have called a signal handler; at one of them it did."""
    moments = 0

    def interrupt(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal moments
        if moments == set_at:
            stop.set()
        moments += 1
        return interrupt

    earlier = sys.gettrace()
    sys.settrace(interrupt)
    try:
        stop.wait(0.01)
    finally:
        sys.settrace(earlier)
    return moments


@pytest.mark.timeout(FOREVER_S / 2)
def test_a_request_at_any_moment_of_a_wait_is_heard():
    for moment in range(moments_of_a_wait(StopRequest())):
        stop = StopRequest()
        moments_of_a_wait(stop, set_at=moment)
        assert stop.is_set()


@pytest.mark.timeout(FOREVER_S / 2)
def test_a_signal_wakes_the_thread_that_waits():
    stop = StopRequest()
    earlier = signal.signal(signal.SIGUSR1, lambda number, frame: stop.set())
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()

    stop.wait(FOREVER_S)

    signal.signal(signal.SIGUSR1, earlier)
    assert stop.is_set()


@pytest.mark.timeout(FOREVER_S / 2)
def test_who_was_told_twice_waits_no_more():
    stop = StopRequest()
    stop.set()
    stop.set()

    stop.wait(FOREVER_S)
    stop.wait(FOREVER_S)

    assert stop.is_set()
