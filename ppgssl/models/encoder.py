"""The encoder: windows in, one embedding per window out, whatever the window's length.

A strided convolutional trunk turns samples into tokens (one token per `stride` samples), and
context layers let every token see seconds around it. Tokens are grouped into segments; each segment
is pooled to one vector; the window's embedding is the mean of its segments' embeddings. It never
normalises its input: `standardise` does, and training and inference both call it.

Axes used in this file:
    B  windows in a batch          N  tokens of a window        D  width of the embedding
    C  channels                    S  segments of a window
    E  channels of a token
    T  samples of a window         K  tokens of one segment
"""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ppgssl.config import ModelConfig
from ppgssl.models.channel_norm import ChannelNorm
from ppgssl.models.pooling import MeanPool, PositionalPool, divide_up
from ppgssl.models.shared_directions import SharedDirections
from ppgssl.models.spectral_path import SpectralPath
from ppgssl.models.whitening import Whitening

Windows = Float[Tensor, "B C T"]

STANDARD_DEVIATION_FLOOR = 1e-6
CONTEXT_KERNEL = 15  # tokens: 4 s at the default stride and rate


def standardise(windows: Float[Tensor, "*B T"]) -> Float[Tensor, "*B T"]:
    """Zero mean and unit standard deviation per window and channel; a flat window becomes zeros."""
    centred = windows - windows.mean(dim=-1, keepdim=True)
    deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
    return centred / deviation.clamp_min(STANDARD_DEVIATION_FLOOR)


class ResidualBlock(nn.Module):
    """Two convolutions of width 3, the first of stride 2, beside a strided 1x1 skip."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm1d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv1d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm1d(out_channels),
        )
        self.skip = nn.Sequential(
            nn.Conv1d(in_channels, out_channels, 1, stride=2, bias=False),
            nn.BatchNorm1d(out_channels),
        )

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B D T2"]:
        """Halve the length (rounded up)."""
        return torch.relu(self.body(x) + self.skip(x))


class ContextLayer(nn.Module):
    """A dilated convolution of each channel, then a mixing of channels, added to the tokens."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.body = nn.Sequential(
            nn.Conv1d(
                channels,
                channels,
                CONTEXT_KERNEL,
                padding=dilation * (CONTEXT_KERNEL // 2),
                dilation=dilation,
                groups=channels,
                bias=False,
            ),
            ChannelNorm(channels),
            nn.ReLU(inplace=True),
            nn.Conv1d(channels, channels, 1, bias=False),
            ChannelNorm(channels),
        )

    def forward(self, tokens: Float[Tensor, "B D N"]) -> Float[Tensor, "B D N"]:
        """As many tokens as before."""
        return tokens + self.body(tokens)


class Encoder(nn.Module):
    """Windows (B, C, T) to embeddings (B, D), for any T of at least one token.

    Args:
        config: Shape of the network.
        segment_tokens: Tokens per segment (K). None pools the whole window at once, which only
            mean pooling can do.
        fs_hz: Rate of the windows.

    Source:
        The reference architecture: Conv1d(k7, s2), residual blocks of stride 2, global pooling,
        MLP 512 → 768 → 512; spectra, context, positional pooling, segments and doing without
        the MLP are ours (docs/architecture.md).
    """

    def __init__(self, config: ModelConfig, segment_tokens: int | None, fs_hz: float) -> None:
        super().__init__()
        channels = config.channels
        self.stride = config.stride
        self.segment_tokens = segment_tokens
        self.stem = nn.Sequential(
            nn.Conv1d(config.in_channels, channels[0], 7, stride=2, padding=3, bias=False),
            nn.BatchNorm1d(channels[0]),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(a, b) for a, b in itertools.pairwise(channels)))
        self.spectral = build_spectral_path(config, fs_hz)
        self.context = build_context(config)
        self.pool = build_pool(config, segment_tokens)
        self.project = build_head(config)
        self.whiten = Whitening(config.latent_dim) if config.head == "none" else None

    def tokens(self, windows: Windows) -> Float[Tensor, "B D N"]:
        """The trunk's output, N = ceil(T / stride)."""
        return self.blocks(self.stem(windows))

    def segments(self, windows: Windows) -> Float[Tensor, "B S D"]:
        """One vector per segment, in order of time, not whitened."""
        return self.segments_of(self.surroundings(windows, self.tokens(windows)))

    def surroundings(
        self, windows: Windows, tokens: Float[Tensor, "B E N"]
    ) -> Float[Tensor, "B E N"]:
        """The trunk's tokens, each with what the seconds around it hold."""
        return self.context(tokens if self.spectral is None else tokens + self.spectral(windows))

    def segments_of(self, surroundings: Float[Tensor, "B E N"]) -> Float[Tensor, "B S D"]:
        """One vector per segment of windows whose tokens are there already."""
        segments = self.project(self.pool(surroundings))
        if self.training and self.whiten is not None:
            self.whiten.observe(segments)
        return segments

    def moments_of(self, surroundings: Float[Tensor, "B E N"]) -> Float[Tensor, "B N D"]:
        """What each token would be as a segment of its own."""
        return self.project(surroundings.transpose(1, 2))

    def forward(self, windows: Windows) -> Float[Tensor, "B D"]:
        """One embedding per window: the mean of its segments, a partial last one counting less."""
        return self.embedding_of(self.segments(windows), windows.shape[-1])

    def embedding_of(
        self, segments: Float[Tensor, "B S D"], num_samples: int
    ) -> Float[Tensor, "B D"]:
        """The embedding of windows whose segments' vectors are there already."""
        pooled = self._pool_segments(segments, num_samples)
        return pooled if self.whiten is None else self.whiten(pooled)

    def _pool_segments(
        self, segments: Float[Tensor, "B S D"], num_samples: int
    ) -> Float[Tensor, "B D"]:
        """Average segments by the number of tokens that each of them holds."""
        num_tokens = divide_up(num_samples, self.stride)
        per_segment = self.segment_tokens or num_tokens
        starts = torch.arange(segments.shape[1], device=segments.device) * per_segment
        weight = (num_tokens - starts).clamp(max=per_segment) / num_tokens
        return torch.einsum("bsd,s->bd", segments, weight.to(segments.dtype))


def build_spectral_path(config: ModelConfig, fs_hz: float) -> SpectralPath | None:
    """The path that the config asks for."""
    if not config.spectral_path:
        return None
    return SpectralPath(config.in_channels, config.stride, fs_hz, config.channels[-1])


def build_context(config: ModelConfig) -> nn.Sequential:
    """The layers that the config asks for, normalised at their end; none leaves tokens alone."""
    if not config.context_dilations:
        return nn.Sequential()
    channels = config.channels[-1]
    layers = [ContextLayer(channels, dilation) for dilation in config.context_dilations]
    return nn.Sequential(*layers, ChannelNorm(channels))


def build_head(config: ModelConfig) -> nn.Module:
    """What turns a pooled vector into an embedding."""
    channels = config.channels[-1]
    if config.head == "mlp":
        return nn.Sequential(
            nn.Linear(channels, config.bottleneck_dim),
            nn.ReLU(inplace=True),
            nn.Linear(config.bottleneck_dim, config.latent_dim),
        )
    width = config.latent_dim
    widen = nn.Identity() if channels == width else nn.Linear(channels, width)
    return nn.Sequential(widen, SharedDirections(width))


def build_pool(config: ModelConfig, segment_tokens: int | None) -> MeanPool | PositionalPool:
    """The pooling that the config asks for."""
    if config.pooling == "mean":
        return MeanPool(segment_tokens)
    if segment_tokens is None:
        raise ValueError("positional pooling needs the number of tokens per segment, got None")
    return PositionalPool(config.channels[-1], segment_tokens)
