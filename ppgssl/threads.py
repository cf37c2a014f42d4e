"""How threads share cores, and Python, with others. It never imports PyTorch.

By default OpenMP's threads spin while they wait for the next parallel region, and on a machine that
has other work they spin away the time that the others need: a training epoch beside other processes
took 126 to 156 s that way and 21 to 29 s with sleeping threads. A host that does nothing but train
small models is faster with OMP_WAIT_POLICY=ACTIVE (docs/log.md).
"""

import gc
import os
import sys
from collections.abc import MutableMapping

WAIT_POLICY = "OMP_WAIT_POLICY"
TURN_SECONDS = 5e-4


def let_idle_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Ask OpenMP to sleep while it waits, unless the user said otherwise.

    It reads the variable when PyTorch is imported: call this before.
    """
    environment.setdefault(WAIT_POLICY, "PASSIVE")


def take_short_turns() -> None:
    """Let Python's threads take turns of half a millisecond.

    With Python's own 5 ms, threads that ask for a short turn between long computations wait longer
    for it than they compute.
    """
    sys.setswitchinterval(TURN_SECONDS)


def keep_for_good() -> None:
    """Collect garbage, and never again look for it in what is there by now.

    All threads stand still meanwhile: with a service's modules and routes for a tenth of a second,
    again and again.
    """
    gc.collect()
    gc.freeze()
