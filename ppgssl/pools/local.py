"""Worker processes that share their imports: paid once, by the server they are forked from."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from typing import Any

from ppgssl.errors import RunError
from ppgssl.pools.pool import Pool, Result, Workplace


def begin_imports(workers: int | None, modules: Sequence[str]) -> None:
    """Start the server of a pool that will be opened: it imports while this process goes on.

    The first call of a process decides what its workers share; one worker needs no server.
    """
    if _count(workers) > 1:
        _forking_from_a_server_with(modules)
        forkserver.ensure_running()


@contextmanager
def open_local_pool(workers: int | None, place: Workplace) -> Generator[Pool]:
    """Worker processes, started as they are needed; for one worker, this process itself.

    Args:
        workers: Of them; None for one per CPU.
        place: Where they work; what they import is loaded before they start.
    """
    count = _count(workers)
    if count == 1:
        yield ThisProcess()
        return
    context = _forking_from_a_server_with(place.modules)
    executor = ProcessPoolExecutor(count, mp_context=context, initializer=_begin_worker)
    try:
        yield WorkerProcesses(executor)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class ThisProcess:
    """One job after the other, here."""

    def work_off(
        self, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Result]]:
        """As every pool does."""
        for number, job in enumerate(jobs):
            yield number, work(*job)


class WorkerProcesses:
    """Processes of this host."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def work_off(
        self, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Result]]:
        """As every pool does.

        Raises:
            RunError: A worker process died.
        """
        try:
            running = {self._executor.submit(work, *job): number for number, job in enumerate(jobs)}
            for future in as_completed(running):
                yield running[future], future.result()
        except BrokenProcessPool as error:
            raise RunError(
                "a worker process died (out of memory?); run the same again with fewer workers: "
                "what is finished is kept"
            ) from error


def _count(workers: int | None) -> int:
    return workers or os.cpu_count() or 1


def _forking_from_a_server_with(modules: Sequence[str]) -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a worker process only"

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
