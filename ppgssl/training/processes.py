"""The processes that train one run together, and the few things they tell each other.

A step's micro-batches are what they share: each is computed as a whole by one process, so batch
norm, contrast and decorrelation see the windows that they would see with one process, and every
random number is the same. Parameters, optimiser and schedule are kept by all of them alike; the
first one reports and writes checkpoints.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ppgssl.errors import ConfigError, ProcessLostError

Item = TypeVar("Item")

PATIENCE = timedelta(minutes=30)  # the first process may check itself or write to a slow disk
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many this one is; alone unless said otherwise.

    What is told between them waits for all of them, and raises `ProcessLostError` where one of
    them has died.

    Attributes:
        rank: From 0 to `count` - 1.
        count: Over all hosts.
        local_rank: Among those of this host; the CUDA device that it computes on.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this one reports and writes checkpoints."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """The consecutive items that are this process's; shares differ by at most one item."""
        start, stop = (len(items) * rank // self.count for rank in (self.rank, self.rank + 1))
        return items[start:stop]

    def takes(self, number: int) -> bool:
        """Whether the item of this number is its own where items are dealt out in turn."""
        return number % self.count == self.rank

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.count == 1:
            return flag
        votes = torch.tensor(int(flag))
        self.add_up(votes)
        return bool(votes)

    def add_up(self, values: Tensor) -> None:
        """Put the sum over all processes in the place of each one's values."""
        if self.count > 1:
            with _no_loss():
                dist.all_reduce(values)

    def stack(self, values: Tensor) -> Tensor:
        """Everybody's values, by rank."""
        if self.count == 1:
            return values[None]
        stacked = [torch.empty_like(values) for _ in range(self.count)]
        with _no_loss():
            dist.all_gather(stacked, values)
        return torch.stack(stacked)

    def collect(self, value: Item) -> list[Item]:
        """Everybody's values by rank, for the first process; nothing for the others."""
        if self.count == 1:
            return [value]
        collected: list[Any] | None = [None] * self.count if self.is_first else None
        with _no_loss():
            dist.gather_object(value, collected)
        return collected or []

    def from_first(self, value: Item) -> Item:
        """The first process's value, for everybody."""
        if self.count == 1:
            return value
        told: list[Any] = [value]
        with _no_loss():
            dist.broadcast_object_list(told)
        return told[0]


ALONE = Processes()


def launched_rank() -> int:
    """Of this process under torchrun; 0 without."""
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def named_process() -> Processes:
    """This one, as the environment names it."""
    rank, count, local = (int(os.environ[x]) for x in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return Processes(rank, count, local)


@contextmanager
def joined_processes(device: str) -> Generator[Processes]:
    """Meet the processes that the environment names, as torchrun does (`RANK`, `WORLD_SIZE`, ...).

    Args:
        device: The config's; only `auto`, `cpu` and `cuda` can be several processes'.

    Raises:
        ConfigError: `device` names one CUDA device.
        ProcessLostError: Not all of them came.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise ConfigError(f"device: {device!r} is one device; several processes need 'cuda'")
    this = named_process()
    on_cuda = device != "cpu" and torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(this.local_rank)
    with _no_loss():
        dist.init_process_group(BACKENDS["cuda" if on_cuda else "cpu"], timeout=PATIENCE)
    yield this
    with _no_loss():
        dist.barrier()  # who leaves early is missed by who is still writing
    dist.destroy_process_group()


@contextmanager
def _no_loss() -> Generator[None]:
    try:
        yield
    except RuntimeError as error:
        first_line = str(error).splitlines()[0]
        raise ProcessLostError(f"another process of this run was lost: {first_line}") from error
