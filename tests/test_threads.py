"""Compute threads give way to others."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ppgssl.threads import come_after_others


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads a priority")
def test_a_thread_gives_way_with_those_that_it_starts_and_nobody_else():
    def priorities() -> list[int]:
        come_after_others(5)
        inner: list[int] = []
        started = threading.Thread(target=lambda: inner.append(own_nice()))
        started.start()
        started.join()
        return [own_nice(), *inner]

    before = own_nice()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(priorities).result() == [5, 5]
    assert own_nice() == before


def own_nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
