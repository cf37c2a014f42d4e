"""Figures that a loss curve hides: does the model explain anything, do the embeddings differ?

Axes used in this file:
    N  embeddings    D  their width
"""

import torch
from jaxtyping import Float
from torch import Tensor

EMBEDDINGS_LIMIT = 4096  # windows whose embeddings are kept for the figures
DEAD_DEVIATION = 1e-4  # an embedding dimension that spreads less says nothing
LOWEST_EXPLAINED_VARIANCE = 0.05
LOWEST_EFFECTIVE_RANK = 4.0
GRACE_EPOCHS = 3  # after the warm-up; before that, or before so many steps,
GRACE_STEPS = 100  # a slow start is no collapse


def embedding_figures(embeddings: Float[Tensor, "N D"]) -> dict[str, float]:
    """Effective rank and spread of embeddings; computed in float64 on the CPU.

    Returns:
        effective_rank: exponential of the entropy of the normalised singular values of the centred
            embeddings, from 1 to min(N - 1, D).
        embedding_std: mean over the dimensions of the standard deviation over windows.
        dead_dimensions: share of the dimensions whose standard deviation is below 1e-4.

    Source:
        Roy and Vetterli 2007, The effective rank.
    """
    centred = embeddings.detach().double().cpu()
    centred = centred - centred.mean(0)
    deviation = centred.square().mean(0).sqrt()
    return {
        "effective_rank": effective_rank(centred),
        "embedding_std": float(deviation.mean()),
        "dead_dimensions": float((deviation < DEAD_DEVIATION).double().mean()),
    }


def effective_rank(centred: Float[Tensor, "N D"]) -> float:
    """Exponential of the entropy of the normalised singular values; 0 for all-equal rows."""
    singular = torch.linalg.svdvals(centred)
    total = singular.sum()
    if total <= torch.finfo(singular.dtype).tiny:
        return 0.0
    share = singular / total
    return float(torch.exp(torch.special.entr(share).sum()))


def is_past_grace(*, epochs_at_full_rate: int, steps: int) -> bool:
    """Whether a run is old enough that learning nothing is no slow start."""
    return epochs_at_full_rate >= GRACE_EPOCHS and steps >= GRACE_STEPS


def find_collapse(values: dict[str, float], *, pooling: str) -> dict[str, str]:
    """Warnings about a run that learns nothing, by kind, each with its cause and remedy.

    Args:
        values: Health figures of the newest validation.
        pooling: `model.pooling` of the run.
    """
    warnings: dict[str, str] = {}
    explained = values["explained_variance"]
    if explained < LOWEST_EXPLAINED_VARIANCE:
        remedy = (
            "mean pooling forgets where the beats are: set model.pooling=positional"
            if pooling == "mean"
            else "check the dataset's denoised signals, and try another training.learning_rate"
        )
        warnings["reconstruction"] = (
            f"reconstruction collapsed: {explained:.1%} of the held-out variance is explained, "
            f"predicting the mean explains 0 %; {remedy}"
        )
    rank = values["effective_rank"]
    if rank < LOWEST_EFFECTIVE_RANK:
        warnings["embeddings"] = (
            f"embeddings collapsed: their effective rank is {rank:.1f}, so they differ in hardly "
            "more than that many directions; more varied recordings or a lower "
            "training.learning_rate usually help"
        )
    return warnings
