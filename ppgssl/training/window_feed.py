"""Where the steps of a run get their windows: from the host, or from a copy on the device.

The copy is made after the first step, when what a step needs is the allocator's already: the memory
that is still free then is nobody's. Steps are the same wherever their windows come from.
"""

import itertools
import time
from collections.abc import Callable, Iterator

import torch

from ppgssl.config import Config
from ppgssl.data.schema import window_bytes
from ppgssl.data.windows import Windows
from ppgssl.errors import ConfigError
from ppgssl.training.device_cache import (
    MOST_OF_FREE_MEMORY,
    DeviceCache,
    Wish,
    does_fit,
    free_memory,
    is_wanted,
)
from ppgssl.training.micro_batches import StepBatches, read_steps
from ppgssl.training.processes import Processes

NOTE_SECONDS = 5.0


class WindowFeed:
    """The training split of one run, a step's windows at a time.

    Args:
        windows: The training split.
        config: Says the order, sizes, and `data.device_cache`.
        device: Where steps are computed.
        processes: Who takes part; all of them hold the windows, or none does.
        should_stop: Asked while windows are copied.
        note: Told what is done.
    """

    def __init__(
        self,
        windows: Windows,
        config: Config,
        *,
        device: torch.device,
        processes: Processes,
        should_stop: Callable[[], bool],
        note: Callable[[str], None],
    ) -> None:
        self._windows = windows
        self._source: Windows | DeviceCache = windows
        self._config = config
        self._wish: Wish = config.data.device_cache
        self._device = device
        self._processes = processes
        self._should_stop = should_stop
        self._note = note
        self._is_settled = False

    def steps(self, *, epoch: int, start_batch: int) -> Iterator[StepBatches]:
        """The rest of an epoch; arguments are those of `read_steps`.

        Raises:
            ConfigError: `data.device_cache` is true and the windows do not fit; raised after a
                step.
            DatasetError: A file is damaged.
        """
        left = self._config.training.epochs - epoch
        if not self._is_settled and is_wanted(self._wish, self._device, epochs_left=left):
            for step in itertools.islice(self._read(epoch, start_batch), 1):
                yield step
                start_batch += step.count
                self._settle()
        yield from self._read(epoch, start_batch)

    def _read(self, epoch: int, start_batch: int) -> Iterator[StepBatches]:
        return read_steps(
            self._source,
            self._config,
            epoch=epoch,
            start_batch=start_batch,
            processes=self._processes,
        )

    def _settle(self) -> None:
        """Copy the windows to the device where they fit; a copy that was stopped is dropped."""
        need = len(self._windows) * window_bytes(self._windows.window_samples)
        free = free_memory(self._device, self._processes.count)
        if self._processes.any(not does_fit(self._wish, need, free)):
            self._do_without(need, free)
        elif (filled := self._filled()) is not None:
            self._source = filled
            self._note(
                f"{len(filled)} training windows ({_megabytes(need)}) lie on {self._device}: "
                "nothing more is read of them (data.device_cache)"
            )
        else:
            return
        self._is_settled = True

    def _do_without(self, need: int, free: int | None) -> None:
        others = " or on another process's device" if self._processes.count > 1 else ""
        found = (
            f"the training windows take {_megabytes(need)}, more than "
            f"{MOST_OF_FREE_MEMORY[self._wish]:.0%} of the {_megabytes(free or 0)} that are free "
            f"on {self._device}{others} beside what a step needs"
        )
        if self._wish is True:
            raise ConfigError(
                f"data.device_cache: {found}; use 'auto' or false, or a device with more memory"
            )
        self._note(f"{found}: they are read in every epoch (data.device_cache)")

    def _filled(self) -> DeviceCache | None:
        """A copy of the windows on the device; None where the run was stopped meanwhile."""
        cache = DeviceCache(self._windows, self._device)
        data = self._config.data
        noted_at = time.monotonic()
        for done in cache.fill(buffer_mb=data.shuffle_buffer_mb, read_ahead=data.num_workers):
            if done < len(cache) and self._processes.any(self._should_stop()):
                return None
            if time.monotonic() - noted_at >= NOTE_SECONDS:
                noted_at = time.monotonic()
                self._note(f"{done} of {len(cache)} training windows copied to {self._device}")
        return cache


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.2f} MB"
