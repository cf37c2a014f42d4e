"""Worker processes that share their imports: paid once, by the server they are forked from."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

from ppgssl.errors import RunError

Result = TypeVar("Result")


@contextmanager
def open_pool(workers: int, modules: Sequence[str]) -> Generator[ProcessPoolExecutor | None]:
    """Worker processes, started as they are needed; None for one worker, which is this process.

    Args:
        workers: Of them.
        modules: What their work imports.
    """
    if workers == 1:
        yield None
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def work_off(
    pool: ProcessPoolExecutor | None,
    work: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
) -> Generator[tuple[int, Result]]:
    """The number of each job and what `work(*job)` gave, as they finish.

    Raises:
        RunError: A worker process died.
    """
    if pool is None:
        for number, job in enumerate(jobs):
            yield number, work(*job)
        return
    try:
        running = {pool.submit(work, *job): number for number, job in enumerate(jobs)}
        for future in as_completed(running):
            yield running[future], future.result()
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process died (out of memory?); run the same again with fewer workers: what "
            "is finished is kept"
        ) from error


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a worker process only"

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
