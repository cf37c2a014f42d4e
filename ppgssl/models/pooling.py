"""How the tokens of a segment become one vector, and how one vector becomes tokens again.

The mean forgets where a beat was, so a decoder behind it can only predict the mean. Weighting each
token by a learned code of its position before the mean keeps the phase: the same 512 numbers then
say what and where.

Axes used in this file:
    B  windows    C  channels    N  tokens of a window    S  segments    K  tokens of one segment
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Tokens = Float[Tensor, "B C N"]
SegmentVectors = Float[Tensor, "B S C"]


def divide_up(count: int, size: int) -> int:
    """How many groups of `size` hold `count`: the quotient, rounded up.

    Without negative numbers, which ONNX divides towards zero where Python divides downwards.
    """
    return (count + size - 1) // size


def split_segments(tokens: Tokens, segment_tokens: int) -> Float[Tensor, "B C S K"]:
    """Group tokens into segments of K, the last one filled up with zeros."""
    num_tokens = tokens.shape[-1]
    missing = divide_up(num_tokens, segment_tokens) * segment_tokens - num_tokens
    return F.pad(tokens, (0, missing)).unflatten(-1, (-1, segment_tokens))


def tokens_held(num_tokens: int, segments: Float[Tensor, "B C S K"]) -> Float[Tensor, " S"]:
    """How many real tokens each segment holds, the last one maybe fewer than K."""
    num_segments, per_segment = segments.shape[-2:]
    starts = torch.arange(num_segments, device=segments.device) * per_segment
    return (num_tokens - starts).clamp(max=per_segment).to(segments.dtype)


class MeanPool(nn.Module):
    """The mean over each segment, or over the whole window where `segment_tokens` is None."""

    def __init__(self, segment_tokens: int | None) -> None:
        super().__init__()
        self.segment_tokens = segment_tokens

    def forward(self, tokens: Tokens) -> SegmentVectors:
        """One vector per segment."""
        segments = split_segments(tokens, self.segment_tokens or tokens.shape[-1])
        return (segments.sum(-1) / tokens_held(tokens.shape[-1], segments)).transpose(1, 2)


class PositionalPool(nn.Module):
    """The mean over each segment, every token weighted by a learned code of its position."""

    def __init__(self, channels: int, segment_tokens: int) -> None:
        super().__init__()
        self.segment_tokens = segment_tokens
        self.code = nn.Parameter(torch.randn(channels, segment_tokens))

    def forward(self, tokens: Tokens) -> SegmentVectors:
        """One vector per segment."""
        segments = split_segments(tokens, self.segment_tokens)
        weighted = torch.einsum("bcsk,ck->bsc", segments, self.code)
        return weighted / tokens_held(tokens.shape[-1], segments)[:, None]


class Broadcast(nn.Module):
    """Give every position of a segment the same vector."""

    def forward(self, vectors: SegmentVectors, segment_tokens: int) -> Tokens:
        """S * K tokens in order of time."""
        return vectors.transpose(1, 2).repeat_interleave(segment_tokens, dim=-1)


class PositionalUnpool(nn.Module):
    """Give every position of a segment the vector, weighted by a learned code of the position."""

    def __init__(self, channels: int, segment_tokens: int) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(channels, segment_tokens))

    def forward(self, vectors: SegmentVectors, segment_tokens: int) -> Tokens:
        """S * K tokens in order of time; K is the code's own length."""
        assert segment_tokens == self.code.shape[1]
        return torch.einsum("bsc,ck->bcsk", vectors, self.code).flatten(2)
