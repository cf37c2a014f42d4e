"""Figures that a loss curve hides: do the embeddings differ, and do they differ usefully?

Pure functions of embeddings. What the figures are worth as a warning is said in `collapse.py`.

Axes used in this file:
    N  embeddings    D  their width    P  pairs of neighbouring windows
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ppgssl.models.effective_rank import effective_rank
from ppgssl.training.held_out import HeldOut

DEAD_DEVIATION = 1e-4  # an embedding dimension that spreads less says nothing
SPREAD_QUANTILES = {"p5": 0.05, "p95": 0.95}
TEMPERATURE = 2.0  # of the uniformity, as its authors use it
ROWS_AT_A_TIME = 512


def health_figures(embeddings: Float[Tensor, "N D"], held_out: HeldOut) -> dict[str, float]:
    """Figures of the chosen windows' embeddings; `held_out.missing` says which may lack."""
    figures = embedding_figures(embeddings)
    if len(held_out.neighbours):
        figures["alignment"] = alignment(embeddings, held_out.neighbours)
    if len(embeddings) > 1:
        figures["uniformity"] = uniformity(embeddings)
    return figures


def embedding_figures(embeddings: Float[Tensor, "N D"]) -> dict[str, float]:
    """Effective rank and spread of embeddings; computed in float64 on the CPU.

    Returns:
        effective_rank: from 1 to min(N - 1, D), see `models/effective_rank.py`.
        embedding_std: mean over the dimensions of the standard deviation over windows.
        embedding_std_p5, embedding_std_p95: 5 % and 95 % quantiles over the dimensions.
        dead_dimensions: share of the dimensions whose standard deviation is below 1e-4.
    """
    centred = embeddings.detach().double().cpu()
    centred = centred - centred.mean(0)
    deviation = centred.square().mean(0).sqrt()
    quantiles = {
        f"embedding_std_{name}": float(deviation.quantile(share))
        for name, share in SPREAD_QUANTILES.items()
    }
    return {
        "effective_rank": effective_rank(centred),
        "embedding_std": float(deviation.mean()),
        **quantiles,
        "dead_dimensions": float((deviation < DEAD_DEVIATION).double().mean()),
    }


@torch.no_grad()
def alignment(embeddings: Float[Tensor, "N D"], pairs: Int[np.ndarray, "P 2"]) -> float:
    """Mean squared distance of neighbouring windows' embeddings, each scaled to unit length.

    0 where neighbours coincide, 2 where they have nothing to do with each other, at most 4.

    Source:
        Wang and Isola 2020, Understanding contrastive representation learning, eq. 5 (alpha 2).
        arXiv:2005.10242. Positive pairs here are neighbours in time, not two views of one window.
    """
    unit = F.normalize(embeddings.double().cpu(), dim=1)
    first, second = torch.from_numpy(pairs).unbind(1)
    return float((unit[first] - unit[second]).square().sum(1).mean())


@torch.no_grad()
def uniformity(embeddings: Float[Tensor, "N D"]) -> float:
    """Logarithm of the mean over all pairs of exp(-2 squared distance), at unit length.

    0 where all embeddings coincide, about -4 where they lie evenly on the sphere; needs N >= 2.

    Source:
        Wang and Isola 2020, eq. 6 (t 2). arXiv:2005.10242.
    """
    unit = F.normalize(embeddings.float(), dim=1)
    num_windows = len(unit)
    total = torch.zeros((), dtype=torch.float64, device=unit.device)
    for rows in unit.split(ROWS_AT_A_TIME):
        squared_distance = 2 - 2 * (rows @ unit.T)
        total += torch.exp(-TEMPERATURE * squared_distance.double()).sum()
    num_pairs = num_windows * (num_windows - 1)
    return float(torch.log((total - num_windows) / num_pairs))
