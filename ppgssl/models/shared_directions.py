"""Directions of the embedding in which every dimension takes part.

What lies along one of them outweighs what single dimensions hold, so a linear probe finds it from
few labels. Training lays pulse rate and breathing rate there (`objectives/rates.py`).

Axes used in this file:
    B  windows    S  segments    D  width of their vectors    R  directions
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

PERIODS = (0, 1)  # signs of a direction: + alone, or + and - for so many dimensions in turn


def directions(width: int, device: torch.device | None = None) -> Float[Tensor, "R D"]:
    """Vectors of +1 and -1, orthogonal where the width is even."""
    at = torch.arange(width, device=device)
    rows = [1 - 2 * (at // period % 2) if period else torch.ones_like(at) for period in PERIODS]
    return torch.stack(rows).float()


class SharedDirections(nn.Module):
    """Add what is said of each direction to every dimension. Starts by adding nothing."""

    signs: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("signs", directions(width), persistent=False)
        self.along = nn.Linear(width, len(PERIODS))
        nn.init.zeros_(self.along.weight)
        nn.init.zeros_(self.along.bias)

    def forward(self, vectors: Float[Tensor, "B S D"]) -> Float[Tensor, "B S D"]:
        """As wide as before."""
        return vectors + self.along(vectors) @ self.signs
