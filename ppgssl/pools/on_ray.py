"""Workers on the hosts of a Ray cluster (extra `ray`), which share a file system.

    host 1   this process ──► tasks ─┬─► worker, worker, ...     host 1
             results ◄───────────────┴─► worker, worker, ...     host 2, ...

Ray carries what is to be done, and small results; recordings, datasets and what is made of them go
through files that every host sees under the same path. A worker looks for them before its first
task. Tasks of a worker or a host that dies are done again elsewhere.
"""

import os
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ppgssl.errors import ConfigError, RunError
from ppgssl.pools.pool import Pool, Result, Workplace

QUEUED_PER_CPU = (
    4  # tasks, so that a worker never waits for this process, nor Ray holds all of them
)
LEAST_QUEUED = 64  # lets a cluster grow that has few CPUs yet
PATIENCE_S = 60.0  # network file systems show a new file late


@contextmanager
def connected(address: str | None) -> Generator[Any]:
    """The module `ray`, connected to a cluster: left at the end, ended where it was begun here.

    Args:
        address: `HOST:PORT` of a cluster that this host is part of; None for the one of
            RAY_ADDRESS, the one that runs here, or a new one of this host alone.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if address is not None and "://" in address:
        raise ConfigError(
            f"Ray address {address!r}: expected HOST:PORT; run this on a host of the cluster (by "
            "`ray job submit`, say), which sees the files that the workers see"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    try:
        ray: Any = import_module("ray")  # an extra, unknown to the type checker
    except ModuleNotFoundError as error:
        raise ConfigError("the engine ray needs Ray; pip install 'ppgssl[ray]'") from error
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"no Ray cluster at {address or 'this host'}: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a worker looks for on its host.

    Attributes:
        folder: Of the process that asks; relative paths begin there.
        files: One of each file system, and the sign in the folder that is written into.
        patience_s: What is not there after so long is not there.
    """

    folder: Path
    files: tuple[Path, ...]
    patience_s: float


@contextmanager
def needs_of(place: Workplace) -> Generator[Needs]:
    """What tells workers that they see a workplace; leaves a sign in its folder meanwhile."""
    place.out.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(prefix=".seen-", dir=place.out) as sign:
        files = (Path(sign.name).absolute(), *_one_of_each_file_system(place.sources))
        yield Needs(Path.cwd(), files, PATIENCE_S)


@lru_cache(maxsize=1)
def settle_in(needs: Needs) -> None:
    """Stand where the process that asks stands, and see what it sees.

    Raises:
        RunError: This host lacks a file.
    """
    if needs.folder.is_dir():
        os.chdir(needs.folder)
    until = time.monotonic() + needs.patience_s
    for file in needs.files:
        while not file.exists():
            if time.monotonic() > until:
                raise RunError(
                    f"the host {socket.gethostname()} does not see {file}: recordings, datasets "
                    "and results have to lie on a file system that all hosts of the Ray cluster "
                    "share, under the same path"
                )
            time.sleep(1)


@contextmanager
def open_ray_pool(
    workers: int | None, place: Workplace, *, address: str | None = None, gpus: float = 0.0
) -> Generator[Pool]:
    """Workers of a cluster; they see the files of this process.

    Args:
        workers: At work at the same time; None for one per CPU of the cluster.
        place: Where they work.
        address: Of the cluster, as for `connected`.
        gpus: That each of them needs for itself.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
    """
    with connected(address) as ray, needs_of(place) as needs:
        yield RayPool(ray, needs, workers, gpus)


class RayPool:
    """Tasks of one CPU each."""

    def __init__(self, ray: Any, needs: "Needs", workers: int | None, gpus: float) -> None:
        self._ray = ray
        self._needs = needs
        self._workers = workers
        self._task: Any = ray.remote(_do).options(num_cpus=1, num_gpus=gpus)

    def work_off(
        self, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Result]]:
        """As every pool does.

        Raises:
            RunError: Workers died again and again, or a host lacks a file.
        """
        waiting, running = iter(enumerate(jobs)), dict[Any, int]()
        try:
            while True:
                for number, job in islice(waiting, self._most_queued() - len(running)):
                    running[self._task.remote(self._needs, work, job)] = number
                if not running:
                    return
                [done], _ = self._ray.wait(list(running))
                yield running.pop(done), self._get(done)
        finally:
            for task in running:
                self._ray.cancel(task, force=True)

    def _most_queued(self) -> int:
        if self._workers is not None:
            return self._workers
        cpus = int(self._ray.cluster_resources().get("CPU", 1))
        return max(LEAST_QUEUED, QUEUED_PER_CPU * cpus)

    def _get(self, task: Any) -> Any:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(task)
        except exceptions.RayTaskError as error:
            raise error.cause from error
        except exceptions.RayError as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"a worker of the Ray cluster was lost again and again: {reason} Run the same "
                "again: what is finished is kept"
            ) from error


def _one_of_each_file_system(paths: Iterable[Path]) -> list[Path]:
    in_folders = {path.parent: path for path in paths}
    return list({folder.stat().st_dev: path for folder, path in in_folders.items()}.values())


def _do(needs: Needs, work: Callable[..., Result], job: tuple[Any, ...]) -> Result:
    """A task, in a worker."""
    settle_in(needs)
    return work(*job)
