"""Predict how fast the heart beats and the chest moves, as the clean window itself says.

A rate is predicted as a distribution over candidate rates. The head is linear, so the rate can be
read from the embedding by a linear probe.

Axes used in this file:
    N  vectors    D  their width    K  candidate rates
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

PULSE_BPM = (30.0, 220.0)
PULSE_BINS = 96
PULSE_SPREAD_BPM = 3.0
UNKNOWN_BPM = 80.0  # stands in where nothing was measured; its weight is 0

Rates = Float[Tensor, " N"]


class PulseRatePrediction(nn.Module):
    """Cross-entropy to a bump at the measured pulse rate, over 96 rates from 30 to 220 bpm."""

    candidates: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.predict = nn.Linear(width, PULSE_BINS)
        self.register_buffer("candidates", torch.linspace(*PULSE_BPM, PULSE_BINS))

    def forward(
        self, vectors: Float[Tensor, "N D"], rate_bpm: Rates, trust: Rates
    ) -> Float[Tensor, ""]:
        """Mean over vectors, each weighing as much as its measurement is trusted."""
        measured = rate_bpm.nan_to_num(UNKNOWN_BPM)
        target = bump(measured, self.candidates, PULSE_SPREAD_BPM)
        return soft_cross_entropy(self.predict(vectors), target, trust)


class BreathingPrediction(nn.Module):
    """Cross-entropy to a distribution over breathing rates."""

    def __init__(self, width: int, num_rates: int) -> None:
        super().__init__()
        self.predict = nn.Linear(width, num_rates)

    def forward(
        self, vectors: Float[Tensor, "N D"], target: Float[Tensor, "N K"], trust: Rates
    ) -> Float[Tensor, ""]:
        """Mean over vectors, each weighing as much as its target is trusted."""
        return soft_cross_entropy(self.predict(vectors), target, trust)


def bump(rate: Rates, candidates: Float[Tensor, " K"], spread: float) -> Float[Tensor, "N K"]:
    """A normal distribution around each rate, over the candidates; rows sum to 1."""
    return torch.softmax(-0.5 * ((candidates - rate[:, None]) / spread).square(), dim=-1)


def soft_cross_entropy(
    logits: Float[Tensor, "N K"], target: Float[Tensor, "N K"], weight: Rates
) -> Float[Tensor, ""]:
    """Weighted mean cross-entropy, as a share of that of a uniform guess; 0 without weight."""
    cross_entropy = -(target * logits.float().log_softmax(-1)).sum(-1)
    mean = (cross_entropy * weight).sum() / weight.sum().clamp_min(1e-6)
    return mean / torch.tensor(logits.shape[-1], device=logits.device).log()
