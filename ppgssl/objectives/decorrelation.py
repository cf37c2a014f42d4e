"""Let every dimension of the embedding vary, and none repeat another.

Axes used in this file:
    N  vectors    D  their width
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

VARIANCE_FLOOR = 1e-4
VARIANCE_WEIGHT, COVARIANCE_WEIGHT = 5.0, 0.1


def decorrelation(vectors: Float[Tensor, "N D"]) -> Float[Tensor, ""]:
    """Shortfall of each dimension's deviation from 1, and the squared correlations between them.

    Correlations rather than covariances, so that no dimension escapes by spreading less.

    Source:
        Bardes et al. 2022, VICReg, eq. 1 to 4; Zbontar et al. 2021, Barlow Twins.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        centred = vectors.float() - vectors.float().mean(0)
        deviation = (centred.square().mean(0) + VARIANCE_FLOOR).sqrt()
        shortfall = F.relu(1 - deviation).mean()
        unit = centred / deviation
        correlation = unit.T @ unit / len(unit)
        off_diagonal = correlation.square().sum() - correlation.diagonal().square().sum()
        return VARIANCE_WEIGHT * shortfall + COVARIANCE_WEIGHT * off_diagonal / vectors.shape[1]
