"""Which code does which kind of job.

A runner is a function `(order, reporter, should_stop) -> stop_reason`, called in the child process.
It is named here as text, so that the worker itself never imports PyTorch.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from ppgssl.jobs.kinds import JobKind
from worker.order import Order
from worker.reporter import RunReporter

Runner = Callable[[Order, RunReporter, Callable[[], bool]], str]

KINDS: Mapping[str, str] = MappingProxyType(
    {
        JobKind.PRETRAIN: "worker.pretrain:run",
        JobKind.EVALUATE: "worker.evaluate:run",
        JobKind.EMBED: "worker.embed:run",
    }
)

COMPLETED = "completed"
"""The stop reason of a run that has only one way to its end."""

STOPPED = "stopped"
"""The stop reason of a run that was asked to stop; with any other one it ran to its end."""


def load_runner(name: str) -> Runner:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)
