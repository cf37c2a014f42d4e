"""Let no direction of the embedding drown the others.

Trained vectors vary much in few directions and little in most. Whitening in part brings the spreads
nearer to each other: a linear probe then finds also what is said quietly, and noise is not raised
to the level of what is said loudly, as it is where all spreads are made equal. What lies along the
shared directions stays as it is (`shared_directions.py`).

Axes used in this file:
    B  windows    S  segments    D  width of their vectors    P  places of a lower triangle
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ppgssl.models.shared_directions import PERIODS, directions

MOMENTUM = 0.01  # of a step's vectors in the running figures: about the last hundred steps count
POWER = 0.7  # 0 leaves all spreads alone, 1 makes them equal
SMALLEST_VARIANCE = 1e-5  # of the largest: what varies less is rounding


class Whitening(nn.Module):
    """Whiten vectors in part by what training saw of them, to a mean variance of 1.

    Training takes vectors as they are and keeps a running mean and covariance of what lies beside
    the shared directions (half of the covariance, since it is symmetric); evaluation applies them.
    Starts by changing nothing.

    Source:
        Kessy, Lewin and Strimmer, "Optimal whitening and decorrelation", 2018 (ZCA); the power
        and the running figures are ours (docs/log.md has what each power measured).
    """

    mean: Tensor
    covariance: Tensor
    matrix: Tensor
    passes: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("covariance", lower_triangle(torch.eye(width)))
        self.register_buffer("matrix", torch.eye(width), persistent=False)
        self.register_buffer("passes", torch.zeros((), dtype=torch.long), persistent=False)

    def train(self, mode: bool = True) -> "Whitening":
        """Evaluation takes the running figures as they are now."""
        super().train(mode)
        if not mode:
            self.matrix = self._whitening_matrix()
        return self

    @torch.no_grad()
    def observe(self, segments: Float[Tensor, "B S D"]) -> None:
        """Count vectors of a training step into the running figures."""
        with torch.autocast(segments.device.type, enabled=False):
            own = segments.flatten(0, 1).float() @ self._beside_directions()
            before = own - self.mean
            self.mean.lerp_(own.mean(0), MOMENTUM)
            # Around the old and the new mean: so the figures are those of weighted vectors, and
            # what several processes saw can be joined.
            covariance = before.T @ (own - self.mean) / len(own)
            self.covariance.lerp_(lower_triangle(covariance), MOMENTUM)
            self.passes += 1

    def moments(self) -> tuple[Float[Tensor, " D"], Float[Tensor, " P"]]:
        """The running means of vectors and of their products: what each pass moves linearly."""
        return self.mean, self.covariance + lower_triangle(torch.outer(self.mean, self.mean))

    def set_moments(
        self, mean: Float[Tensor, " D"], products: Float[Tensor, " P"], *, passes: Int[Tensor, ""]
    ) -> None:
        """The inverse of `moments`, after so many passes."""
        self.mean.copy_(mean)
        self.covariance.copy_(products - lower_triangle(torch.outer(mean, mean)))
        self.passes.copy_(passes)

    def forward(self, vectors: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """As wide as before."""
        return vectors if self.training else (vectors - self.mean) @ self.matrix

    def _whitening_matrix(self) -> Float[Tensor, "D D"]:
        beside = self._beside_directions().double()
        covariance = beside @ symmetric(self.covariance.double(), self.width) @ beside
        variances, axes = torch.linalg.eigh(covariance)
        variances = variances.clamp_min(SMALLEST_VARIANCE * variances[-1])
        scaled = axes * variances ** (-POWER / 2)
        mean_variance = (variances[len(PERIODS) :] ** (1 - POWER)).mean()
        own = beside @ scaled @ axes.T / mean_variance.sqrt()
        along = torch.eye(self.width, device=beside.device) - beside
        return (own + along).float()

    def _beside_directions(self) -> Float[Tensor, "D D"]:
        signs = directions(self.width, self.mean.device)
        return torch.eye(self.width, device=signs.device) - torch.linalg.pinv(signs) @ signs


def lower_triangle(square: Float[Tensor, "D D"]) -> Float[Tensor, " P"]:
    """The places of a matrix on its diagonal and below."""
    rows, columns = torch.tril_indices(*square.shape, device=square.device)
    return square[rows, columns]


def symmetric(triangle: Float[Tensor, " P"], width: int) -> Float[Tensor, "D D"]:
    """The symmetric matrix whose lower triangle this is."""
    square = triangle.new_zeros(width, width)
    rows, columns = torch.tril_indices(width, width, device=triangle.device)
    square[rows, columns] = triangle
    return square + square.tril(-1).T
