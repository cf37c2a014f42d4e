"""Training windows held where steps are computed: copied there once, and gathered there since.

Axes used in this file:
    B  windows of a batch    T  samples
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ppgssl.data.schema import window_bytes
from ppgssl.data.windows import Windows
from ppgssl.host_memory import available_memory

MOST_OF_FREE_MEMORY = {"auto": 0.5, True: 0.9}
"""By what `data.device_cache` says. The rest is for steps that need more than the first one did."""

FILL_BYTES = 64 * 10**6

Wish = Literal["auto"] | bool


@dataclass(frozen=True, slots=True)
class DeviceBatch:
    """Windows side by side on a device, as they are stored.

    Attributes:
        signal: (B, T) as recorded, resampled; in the recording's own unit.
        denoised: (B, T) the same windows, denoised.
    """

    signal: Float[Tensor, "B T"]
    denoised: Float[Tensor, "B T"]

    def __len__(self) -> int:
        return len(self.signal)

    def view(self, start: int, stop: int) -> "DeviceBatch":
        """Windows `start` to `stop`, sharing memory."""
        return DeviceBatch(self.signal[start:stop], self.denoised[start:stop])


class DeviceCache:
    """All windows of a split in the memory of a device. They have to be filled in first.

    Args:
        windows: The split.
        device: That holds them.
    """

    def __init__(self, windows: Windows, device: torch.device) -> None:
        self._windows = windows
        shape = (len(windows), windows.window_samples)
        self._signal = torch.empty(shape, dtype=torch.float32, device=device)
        self._denoised = torch.empty(shape, dtype=torch.float32, device=device)

    def __len__(self) -> int:
        return len(self._windows)

    def fill(self, *, buffer_mb: float, read_ahead: int) -> Iterator[int]:
        """Copy the windows, some megabytes at a time; gives how many are there.

        Args:
            buffer_mb: As in `Windows.batches`.
            read_ahead: As in `Windows.batches`.

        Raises:
            DatasetError: A file is damaged.
        """
        per_batch = max(1, FILL_BYTES // window_bytes(self._windows.window_samples))
        stored = self._windows.batches(
            per_batch, seed=None, buffer_mb=buffer_mb, read_ahead=read_ahead
        )
        done = 0
        for batch in stored:
            part = slice(done, done + len(batch))
            self._signal[part].copy_(torch.from_numpy(batch.signal))
            self._denoised[part].copy_(torch.from_numpy(batch.denoised))
            done += len(batch)
            yield done

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None,
        epoch: int,
        start_batch: int,
        every: int,
        buffer_mb: float,
        read_ahead: int,
    ) -> Iterator[DeviceBatch]:
        """The batches of `Windows.batches` with the same arguments. Nothing is read."""
        order = self._windows.order(seed=seed, epoch=epoch, buffer_mb=buffer_mb)
        rows = torch.from_numpy(order).to(self._signal.device)
        for start in range(start_batch * batch_size, len(rows), every * batch_size):
            chosen = rows[start : start + batch_size]
            yield DeviceBatch(
                self._signal.index_select(0, chosen), self._denoised.index_select(0, chosen)
            )


def is_wanted(wish: Wish, device: torch.device, *, epochs_left: int) -> bool:
    """Whether windows should lie on the device, if they fit.

    Args:
        wish: `data.device_cache`. 'auto' wants it on CUDA, where a later epoch will use the copy.
        device: Where steps are computed.
        epochs_left: The one under way among them.
    """
    return wish is True or (wish == "auto" and device.type == "cuda" and epochs_left > 1)


def does_fit(wish: Wish, need_bytes: int, free_bytes: int | None) -> bool:
    """Whether the windows leave enough of the device's memory to others.

    Args:
        wish: `data.device_cache`, which allows them more where it is true.
        need_bytes: Of the windows.
        free_bytes: Beside a step's need; None where nobody knows, which is taken for enough.
    """
    return free_bytes is None or need_bytes <= MOST_OF_FREE_MEMORY[wish] * free_bytes


def free_memory(device: torch.device, sharing: int) -> int | None:
    """Bytes that this process may still take on a device; None where nobody says.

    What PyTorch's allocator holds for steps counts as taken.

    Args:
        device: CUDA devices have memory of their own.
        sharing: Processes that may all be on this host, and share the memory of its CPU.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    available = available_memory()
    return None if available is None else available // sharing
