"""In how many directions embeddings spread: one figure that shows a collapse.

Axes used in this file:
    N  embeddings    D  their width
"""

import torch
from jaxtyping import Float
from torch import Tensor


def effective_rank(embeddings: Float[Tensor, "N D"]) -> float:
    """Exponential of the entropy of the normalised singular values of the centred embeddings.

    From 1 to min(N - 1, D); 0 where all rows are equal. Computed in float64 on the CPU.

    Source:
        Roy and Vetterli 2007, The effective rank.
    """
    values = embeddings.detach().double().cpu()
    singular = torch.linalg.svdvals(values - values.mean(0))
    total = singular.sum()
    if total <= torch.finfo(singular.dtype).tiny:
        return 0.0
    share = singular / total
    return float(torch.exp(torch.special.entr(share).sum()))
