"""Losses and health figures on held-out windows, without augmentation.

Axes used in this file:
    B  windows of a batch    C  channels (1)    T  samples    N  embeddings    D  their width
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from ppgssl.data.batch import WindowBatch
from ppgssl.data.windows import Windows
from ppgssl.losses import explained_variance
from ppgssl.models.encoder import standardise
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.device_cache import DeviceBatch
from ppgssl.training.health import health_figures
from ppgssl.training.heart_rate_probe import heart_rate_probe
from ppgssl.training.held_out import HeldOut
from ppgssl.training.processes import ALONE, Processes
from ppgssl.views import Views


def to_device(
    batch: WindowBatch | DeviceBatch, device: torch.device
) -> tuple[Float[Tensor, "B 1 T"], Float[Tensor, "B 1 T"]]:
    """Windows and targets of a batch, each standardised by its own mean and deviation."""
    if isinstance(batch, WindowBatch):
        batch = DeviceBatch(_copied(batch.signal, device), _copied(batch.denoised, device))
    return standardise(batch.signal)[:, None], standardise(batch.denoised)[:, None]


def _copied(values: npt.NDArray[np.float32], device: torch.device) -> Float[Tensor, "B T"]:
    """On its way to the device; from memory that is not pinned CUDA may wait for queued steps."""
    on_host = torch.from_numpy(values)
    if device.type == "cuda":
        on_host = on_host.pin_memory()  # whose memory PyTorch uses again after the copy only
    return on_host.to(device, non_blocking=True)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process found on its batches, on the host; embeddings by the number of the batch.

    Attributes:
        sums: Over windows, of loss terms and what the explained variance needs.
        kept: Embeddings of the chosen held-out windows.
        fitted: Embeddings of the windows that the probe is fitted on.
    """

    sums: dict[str, float]
    kept: dict[int, Tensor]
    fitted: dict[int, Tensor]


@torch.no_grad()
def validate(
    objective: PretrainingObjective,
    windows: Windows,
    held_out: HeldOut,
    *,
    batch_size: int,
    buffer_mb: float,
    device: torch.device,
    amp_dtype: torch.dtype,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """Mean losses over all windows, explained variance, and the figures of `held_out`'s embeddings.

    The model is left in evaluation mode. Sums stay on the device until the end. Several processes
    take batches in turn; the first one judges what all have found, and tells the others.
    """
    objective.eval()
    sums: dict[str, Tensor] = {}
    kept: dict[int, Tensor] = {}
    own = windows.batches(
        batch_size,
        seed=None,
        start_batch=processes.rank,
        every=processes.count,
        buffer_mb=buffer_mb,
    )
    for number, batch in zip(itertools.count(processes.rank, processes.count), own, strict=False):
        start = number * batch_size
        inputs, targets = to_device(batch, device)
        with torch.autocast(device.type, dtype=amp_dtype, enabled=amp_dtype is not torch.float32):
            reconstruction = objective.model(inputs)
            terms = objective.compare(reconstruction, Views.plain(inputs, targets)).detached()
        measured = {name: value * len(inputs) for name, value in terms.items()}
        measured["squared_error"] = (reconstruction.output.float() - targets).square().sum()
        measured["squared_deviation"] = targets.square().sum()
        for name, value in measured.items():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + value
        places = torch.from_numpy(held_out.places(start, start + len(batch)))
        kept[number] = reconstruction.embedding[places.to(device)].float()
    fitted: dict[int, Tensor] = {}
    if held_out.probe is not None:
        for number, batch in enumerate(held_out.probe.batches(batch_size)):
            if processes.takes(number):
                fitted[number] = embed(objective, batch, device, amp_dtype)

    found = processes.collect(
        Measured(
            {name: float(value) for name, value in sums.items()},
            {number: vectors.cpu() for number, vectors in kept.items()},
            {number: vectors.cpu() for number, vectors in fitted.items()},
        )
    )
    figures = _judge(found, held_out, len(windows), device) if processes.is_first else {}
    return processes.from_first(figures)


def _judge(
    found: list[Measured], held_out: HeldOut, num_windows: int, device: torch.device
) -> dict[str, float]:
    """Means and figures of what all processes found."""
    names = list(dict.fromkeys(name for measured in found for name in measured.sums))
    totals = {name: sum(measured.sums.get(name, 0.0) for measured in found) for name in names}
    error, deviation = totals.pop("squared_error"), totals.pop("squared_deviation")
    means = {name: value / num_windows for name, value in totals.items()}
    means["explained_variance"] = explained_variance(error, deviation)
    kept = _in_order([measured.kept for measured in found])
    figures = health_figures(kept.to(device), held_out)
    if (probe := held_out.probe) is not None:
        fitted = _in_order([measured.fitted for measured in found])
        figures |= heart_rate_probe(
            _frozen(fitted), probe.heart_rates, _frozen(kept), held_out.heart_rates
        )
    return means | figures


def _in_order(parts: list[dict[int, Tensor]]) -> Float[Tensor, "N D"]:
    """The embeddings of all batches, by their numbers."""
    by_number = {number: vectors for part in parts for number, vectors in part.items()}
    return torch.cat([by_number[number] for number in sorted(by_number)])


def embed(
    objective: PretrainingObjective,
    batch: WindowBatch,
    device: torch.device,
    amp_dtype: torch.dtype,
) -> Float[Tensor, "B D"]:
    """Embeddings of windows as they are."""
    inputs, _ = to_device(batch, device)
    with torch.autocast(device.type, dtype=amp_dtype, enabled=amp_dtype is not torch.float32):
        return objective.model.encoder(inputs).float()


def _frozen(embeddings: Float[Tensor, "N D"]) -> Float[np.ndarray, "N D"]:
    return embeddings.double().numpy()
