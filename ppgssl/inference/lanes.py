"""Threads that compute side by side, a core each.

One forward pass on all cores meets at the end of every layer and waits there for the slowest core,
beside other work for long. Passes that have a core each never meet. PyTorch's number of threads
belongs to the calling thread: these have one, all others keep theirs.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import torch


def start_lanes(count: int) -> ThreadPoolExecutor:
    """A pool of so many; what it is called from keeps its number of threads."""
    usual = torch.get_num_threads()
    started = Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # what is set before the first look is forgotten by it
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="lane", initializer=begin)
    for _ in range(count):
        pool.submit(lambda: None)
    started.wait()
    torch.set_num_threads(usual)  # is what threads begin with from here on, too
    return pool


@cache
def lanes() -> ThreadPoolExecutor:
    """As many as PyTorch uses threads where it is first called; they stay for good."""
    return start_lanes(torch.get_num_threads())
