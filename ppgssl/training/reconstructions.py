"""After every epoch: what the model returns for a few held-out windows, put down to be looked at.

Computes nothing that training reads, and draws no random numbers: a run with it is the run that it
would be without.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ppgssl.data.browsing import described_windows
from ppgssl.data.dataset import Dataset
from ppgssl.data.schema import Split
from ppgssl.models.autoencoder import Autoencoder
from ppgssl.training.reconstruction_files import (
    FOLDER,
    ShownWindows,
    write_epoch,
    write_windows,
)
from ppgssl.training.validation import to_device

WINDOWS_SHOWN = 4


class Reconstructions:
    """The reconstructions of one run.

    Args:
        dataset: What the run trains on.
        split: The split that it validates on.
        out: Its folder.
    """

    def __init__(self, dataset: Dataset, split: Split, out: Path) -> None:
        self._dataset = dataset
        self._split: Split = split
        self._folder = out / FOLDER
        self._has_windows = False

    @cached_property
    def windows(self) -> ShownWindows:
        """Windows at even distances through the split; reads them once."""
        windows = self._dataset.split(self._split)
        rows = np.linspace(0, len(windows) - 1, min(len(windows), WINDOWS_SHOWN)).astype(int)
        pairs = [to_device(windows.read_one(int(row)), torch.device("cpu")) for row in rows]
        return ShownWindows(
            described=described_windows(self._dataset, self._split).take(rows).to_pylist(),
            inputs=np.concatenate([signal[:, 0].numpy() for signal, _ in pairs]),
            targets=np.concatenate([target[:, 0].numpy() for _, target in pairs]),
            fs_hz=self._dataset.fs_hz,
        )

    def save(
        self, epoch: int, model: Autoencoder, *, device: torch.device, amp_dtype: torch.dtype
    ) -> None:
        """Reconstruct the windows with a model in evaluation mode, and put down what comes out.

        Raises:
            OSError: The disk refuses.
        """
        if not self._has_windows:
            write_windows(self._folder, self.windows)
            self._has_windows = True
        outputs = [
            reconstruct(model, torch.from_numpy(window)[None, None], device, amp_dtype)
            for window in self.windows.inputs  # one by one: memory holds what a step needs
        ]
        write_epoch(self._folder, epoch, torch.cat(outputs)[:, 0].numpy())


@torch.no_grad()
def reconstruct(
    model: Autoencoder, windows: Tensor, device: torch.device, amp_dtype: torch.dtype
) -> Tensor:
    """What the model returns for windows (B, 1, T), on the host."""
    with torch.autocast(device.type, dtype=amp_dtype, enabled=amp_dtype is not torch.float32):
        return model(windows.to(device)).output.float().cpu()
