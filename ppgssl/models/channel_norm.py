"""Normalise every token by itself, over its channels.

Batch norm takes away what a micro-batch has in common. Of eight recordings that is much: the mean
of their pulse rates, which the embedding is to tell.
"""

from jaxtyping import Float
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, N); needs no statistics of other tokens or windows."""

    def forward(self, input: Float[Tensor, "B C N"]) -> Float[Tensor, "B C N"]:
        """Of the same shape."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)
