"""Predict how fast the heart beats and the chest moves, as the clean window itself says.

A rate is predicted twice: as a distribution over candidate rates, which can say that it is unsure
between two, and as a number. Both heads are linear: the first makes the embedding tell rates apart,
the second lays them out along a line, so that a linear probe that has never seen 120 bpm finds it
beyond 100.

Axes used in this file:
    N  vectors    D  their width    K  candidate rates
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Rates = Float[Tensor, " N"]


@dataclass(frozen=True, slots=True)
class RateScale:
    """A kind of rate, per minute.

    Attributes:
        slowest: The first candidate.
        fastest: The last candidate.
        candidates: Their number.
        spread: Of the distribution around a rate that was measured.
        usual: What a prediction of 0 means; stands in where nothing was measured.
        unit: What a prediction of 1 adds. Errors beyond it count linearly.
    """

    slowest: float
    fastest: float
    candidates: int
    spread: float
    usual: float
    unit: float

    def rates(self, device: torch.device | None = None) -> Float[Tensor, " K"]:
        """The candidates, evenly spaced."""
        return torch.linspace(self.slowest, self.fastest, self.candidates, device=device)

    def around(self, rate: Rates) -> Float[Tensor, "N K"]:
        """A distribution around each rate."""
        return bump(rate.nan_to_num(self.usual), self.rates(rate.device), self.spread)


PULSE = RateScale(30.0, 220.0, 96, spread=3.0, usual=80.0, unit=5.0)
BREATHING = RateScale(5.0, 40.0, 71, spread=1.0, usual=16.0, unit=3.0)


class RatePrediction(nn.Module):
    """Cross-entropy to a distribution over rates, plus smooth L1 distance to the likeliest."""

    def __init__(self, width: int, scale: RateScale) -> None:
        super().__init__()
        self.scale = scale
        self.tell_apart = nn.Linear(width, scale.candidates)
        self.lay_out = nn.Linear(width, 1)

    def forward(
        self, vectors: Float[Tensor, "N D"], target: Float[Tensor, "N K"], trust: Rates
    ) -> Float[Tensor, ""]:
        """Mean over vectors, each weighing as much as its target is trusted."""
        likeliest = self.scale.rates(target.device)[target.argmax(-1)]
        wanted = (likeliest - self.scale.usual) / self.scale.unit
        found = self.lay_out(vectors).squeeze(-1).float()
        distance = F.smooth_l1_loss(found, wanted, reduction="none")
        unsure = soft_cross_entropy(self.tell_apart(vectors), target, trust)
        return unsure + weighted_mean(distance, trust)


def bump(rate: Rates, candidates: Float[Tensor, " K"], spread: float) -> Float[Tensor, "N K"]:
    """A normal distribution around each rate, over the candidates; rows sum to 1."""
    return torch.softmax(-0.5 * ((candidates - rate[:, None]) / spread).square(), dim=-1)


def soft_cross_entropy(
    logits: Float[Tensor, "N K"], target: Float[Tensor, "N K"], weight: Rates
) -> Float[Tensor, ""]:
    """Weighted mean cross-entropy, as a share of that of a uniform guess; 0 without weight."""
    cross_entropy = -(target * logits.float().log_softmax(-1)).sum(-1)
    return weighted_mean(cross_entropy, weight) / math.log(logits.shape[-1])


def weighted_mean(values: Rates, weight: Rates) -> Float[Tensor, ""]:
    """0 where nothing has weight."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)
