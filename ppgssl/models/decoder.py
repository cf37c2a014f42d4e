"""The decoder: the encoder's vectors and the pose in, the denoised window out. Training only.

The vectors say what the pulse is like and the pose where its beats are; without a pose the vectors
have to say both.

Axes used in this file:
    B  windows    C  channels    T  samples    N  tokens    S  segments    K  tokens of one segment
    D  width of the embedding    P  channels of the pose
"""

import itertools

from jaxtyping import Float
from torch import Tensor, nn, relu

from ppgssl.config import ModelConfig
from ppgssl.models.pooling import Broadcast, PositionalUnpool, divide_up


class TransposedResidualBlock(nn.Module):
    """A transposed convolution of stride 2 and a convolution, beside a transposed 1x1 skip."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ConvTranspose1d(
                in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False
            ),
            nn.BatchNorm1d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv1d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm1d(out_channels),
        )
        self.skip = nn.Sequential(
            nn.ConvTranspose1d(
                in_channels, out_channels, 1, stride=2, output_padding=1, bias=False
            ),
            nn.BatchNorm1d(out_channels),
        )

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B D T2"]:
        """Double the length."""
        return relu(self.body(x) + self.skip(x))


class Decoder(nn.Module):
    """Vectors (B, S, D), or one per window (B, D), to windows (B, C, T) of exactly T samples.

    Args:
        config: Shape of the network; the mirror of the encoder's.
        segment_tokens: Tokens per segment (K). None spreads one vector over the whole window.

    Source:
        The reference architecture: MLP 512 → 768 → 512 → 512, transposed residual blocks of
        stride 2, ConvTranspose1d(k7, s2).
    """

    def __init__(self, config: ModelConfig, segment_tokens: int | None) -> None:
        super().__init__()
        channels = config.channels[::-1]
        self.stride = config.stride
        self.segment_tokens = segment_tokens
        self.expand = nn.Sequential(
            nn.Linear(config.latent_dim, config.bottleneck_dim),
            nn.ReLU(inplace=True),
            nn.Linear(config.bottleneck_dim, config.latent_dim),
            nn.ReLU(inplace=True),
            nn.Linear(config.latent_dim, channels[0]),
        )
        if config.pooling == "mean" or segment_tokens is None:
            self.unpool: Broadcast | PositionalUnpool = Broadcast()
        else:
            self.unpool = PositionalUnpool(channels[0], segment_tokens)
        if config.pose_channels:
            self.spread_pose = nn.Conv1d(config.pose_channels, channels[0], 1)
        self.blocks = nn.Sequential(
            *(TransposedResidualBlock(a, b) for a, b in itertools.pairwise(channels))
        )
        self.head = nn.ConvTranspose1d(
            channels[-1], config.in_channels, 7, stride=2, padding=3, output_padding=1
        )

    def forward(
        self,
        vectors: Float[Tensor, "B *S D"],
        num_samples: int,
        pose: Float[Tensor, "B P N"] | None = None,
    ) -> Float[Tensor, "B C {num_samples}"]:
        """Reconstruct `num_samples` samples; a single vector serves every segment."""
        num_tokens = divide_up(num_samples, self.stride)
        segment_tokens = self.segment_tokens or num_tokens
        if vectors.ndim == 2:
            vectors = vectors[:, None].expand(-1, divide_up(num_tokens, segment_tokens), -1)
        tokens = self.unpool(self.expand(vectors), segment_tokens)[..., :num_tokens]
        if pose is not None:
            tokens = tokens + self.spread_pose(pose)
        return self.head(self.blocks(tokens))[..., :num_samples]
