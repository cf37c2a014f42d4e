"""Predict how fast the heart beats and the chest moves, as the clean window itself says.

A rate has its place in the embedding: a direction in which every dimension takes part, along which
so many beats a minute are one step. Nothing is learnt behind the embedding. A linear probe finds
the direction from few labels, since nothing in the embedding varies more, and finds 120 bpm beyond
100 where it has seen no such rate.

Axes used in this file:
    N  vectors    D  their width    K  candidate rates
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ppgssl.models.shared_directions import directions

Vectors = Float[Tensor, "N D"]
Rates = Float[Tensor, " N"]


@dataclass(frozen=True, slots=True)
class RateScale:
    """A kind of rate, per minute.

    Attributes:
        slowest: The first candidate of a measurement.
        fastest: The last candidate.
        candidates: Their number.
        direction: Which of the embedding's shared directions it lies along.
        usual: The rate of an embedding at 0 along its direction.
        step: By how much the rate rises where every dimension moves by 1.
        tolerance: Errors beyond it count linearly.
    """

    slowest: float
    fastest: float
    candidates: int
    direction: int
    usual: float
    step: float
    tolerance: float

    def rates(self, device: torch.device | None = None) -> Float[Tensor, " K"]:
        """The candidates, evenly spaced."""
        return torch.linspace(self.slowest, self.fastest, self.candidates, device=device)


PULSE = RateScale(30.0, 220.0, 96, direction=0, usual=80.0, step=10.0, tolerance=3.0)
BREATHING = RateScale(5.0, 40.0, 71, direction=1, usual=18.0, step=1.5, tolerance=2.0)


def read_rate(vectors: Vectors, scale: RateScale) -> Rates:
    """The rate that vectors say, per minute."""
    signs = directions(vectors.shape[-1], vectors.device)[scale.direction]
    with torch.autocast(vectors.device.type, enabled=False):
        along = vectors.float() @ signs / vectors.shape[-1]
    return scale.usual + scale.step * along


def rate_distance(
    vectors: Vectors, measured: Rates, trust: Rates, scale: RateScale
) -> Float[Tensor, ""]:
    """Mean smooth L1 distance, in tolerances, of the rate that vectors say to the measured one.

    Args:
        vectors: Of segments or windows.
        measured: Per minute; nan counts as the usual rate.
        trust: 0 to 1; how much each of them counts.
        scale: Which rate.
    """
    error = (read_rate(vectors, scale) - measured.nan_to_num(scale.usual)) / scale.tolerance
    distance = F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none")
    return (distance * trust).sum() / trust.sum().clamp_min(1e-6)


def without_rates(vectors: Vectors) -> Vectors:
    """What vectors say beside the two rates."""
    signs = directions(vectors.shape[-1], vectors.device)
    with torch.autocast(vectors.device.type, enabled=False):
        along = vectors.float() @ signs.T / vectors.shape[-1]
        return vectors - along @ signs
