"""Nearby windows of one recording resemble each other more than they resemble other recordings.

Axes used in this file:
    B  views    D  width of their embeddings    P  width of a projection
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

PROJECTION = 128


class NearbyContrast(nn.Module):
    """Pull views of one window together and push those of other windows away.

    The projection that is compared lies behind the embedding, so the embedding keeps what changes
    within a minute.

    Source:
        Chen et al. 2020, SimCLR, eq. 1, with every other view of the same window as a positive
        (Khosla et al. 2020, eq. 2).
    """

    def __init__(self, width: int, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.project = nn.Sequential(
            nn.Linear(width, width),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, PROJECTION),
        )

    def forward(
        self, embedding: Float[Tensor, "B D"], origin: Int[Tensor, " B"]
    ) -> Float[Tensor, ""]:
        """Mean over anchors that have a positive; views of equal `origin` are positives."""
        return contrast(self.project(embedding), origin, temperature=self.temperature)


def contrast(
    projection: Float[Tensor, "B P"], origin: Int[Tensor, " B"], *, temperature: float
) -> Float[Tensor, ""]:
    """Cross-entropy over the other views, in nats; positives share an origin. 0 without positives.

    Computed in float32 even under autocast. Negatives come from this micro-batch only.
    """
    with torch.autocast(projection.device.type, enabled=False):
        unit = F.normalize(projection.float(), dim=1)
        is_self = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        logits = (unit @ unit.T / temperature).masked_fill(is_self, -1e9)
        positive = (origin[:, None] == origin) & ~is_self
        log_share = logits.log_softmax(-1).masked_fill(~positive, 0.0)
        return -log_share.sum() / positive.sum().clamp_min(1)
