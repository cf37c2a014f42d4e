"""Losses and health figures on held-out windows, without augmentation.

Axes used in this file:
    B  windows of a batch    C  channels (1)    T  samples
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ppgssl.data.batch import WindowBatch
from ppgssl.data.windows import Windows
from ppgssl.losses import explained_variance
from ppgssl.models.encoder import standardise
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.health import health_figures
from ppgssl.training.heart_rate_probe import heart_rate_probe
from ppgssl.training.held_out import HeldOut
from ppgssl.views import Views


def to_device(
    batch: WindowBatch, device: torch.device
) -> tuple[Float[Tensor, "B 1 T"], Float[Tensor, "B 1 T"]]:
    """Windows and targets of a batch, each standardised by its own mean and deviation."""
    signal = torch.from_numpy(batch.signal).to(device, non_blocking=True)
    denoised = torch.from_numpy(batch.denoised).to(device, non_blocking=True)
    return standardise(signal)[:, None], standardise(denoised)[:, None]


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
) -> dict[str, float]:
    """Mean losses over all windows, explained variance, and the figures of `held_out`'s embeddings.

    The model is left in evaluation mode. Sums stay on the device until the end.
    """
    objective.eval()
    sums: dict[str, Tensor] = {}
    embeddings: list[Tensor] = []
    start = 0
    for batch in windows.batches(batch_size, seed=None, buffer_mb=buffer_mb):
        inputs, targets = to_device(batch, device)
        with torch.autocast(device.type, dtype=amp_dtype, enabled=amp_dtype is not torch.float32):
            reconstruction = objective.model(inputs)
        terms = objective.compare(reconstruction, Views.plain(inputs, targets)).detached()
        measured = {name: value * len(inputs) for name, value in terms.items()}
        measured["squared_error"] = (reconstruction.output.float() - targets).square().sum()
        measured["squared_deviation"] = targets.square().sum()
        for name, value in measured.items():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + value
        places = torch.from_numpy(held_out.places(start, start + len(inputs)))
        embeddings.append(reconstruction.embedding[places.to(device)].float())
        start += len(inputs)

    totals = {name: float(value) for name, value in sums.items()}
    error, deviation = totals.pop("squared_error"), totals.pop("squared_deviation")
    means = {name: value / len(windows) for name, value in totals.items()}
    means["explained_variance"] = explained_variance(error, deviation)
    kept = torch.cat(embeddings)
    figures = health_figures(kept, held_out)
    if (probe := held_out.probe) is not None:
        fitted = torch.cat(
            [embed(objective, batch, device, amp_dtype) for batch in probe.batches(batch_size)]
        )
        figures |= heart_rate_probe(
            _frozen(fitted), probe.heart_rates, _frozen(kept), held_out.heart_rates
        )
    return means | figures


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
    return embeddings.double().cpu().numpy()
