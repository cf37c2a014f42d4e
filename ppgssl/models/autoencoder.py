"""The model that is trained: an encoder and a decoder, joined by vectors and by a pose.

One vector per segment is what becomes the embedding. The pose is a narrow sequence beside it, read
from the trunk's tokens and used by the decoder only: it carries where the beats are, which the mean
over a segment forgets, so that the embedding is free to say what they are like.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ppgssl.config import Config
from ppgssl.models.decoder import Decoder
from ppgssl.models.encoder import Encoder
from ppgssl.models.pooling import divide_up


class Reconstruction(NamedTuple):
    """What one forward pass gives; `surroundings` are the tokens that segments are made of."""

    output: Float[Tensor, "B C T"]
    segments: Float[Tensor, "B S D"]
    surroundings: Float[Tensor, "B E N"]
    embedding: Float[Tensor, "B D"]


class Autoencoder(nn.Module):
    """Encode a window to its segments' vectors and reconstruct the denoised window from them."""

    def __init__(self, encoder: Encoder, decoder: Decoder, pose: nn.Module | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.pose = pose

    def forward(self, windows: Float[Tensor, "B C T"]) -> Reconstruction:
        """Reconstruct standardised windows; also give their embeddings."""
        num_samples = windows.shape[-1]
        tokens = self.encoder.tokens(windows)
        surroundings = self.encoder.surroundings(windows, tokens)
        segments = self.encoder.segments_of(surroundings)
        pose = None if self.pose is None else self.pose(tokens)
        return Reconstruction(
            output=self.decoder(segments, num_samples, pose),
            segments=segments,
            surroundings=surroundings,
            embedding=self.encoder.embedding_of(segments, num_samples),
        )


def build_autoencoder(config: Config) -> Autoencoder:
    """An untrained model; weights come from torch's global generator."""
    model, tokens = config.model, segment_tokens(config)
    pose = nn.Conv1d(model.channels[-1], model.pose_channels, 1) if model.pose_channels else None
    encoder = Encoder(model, tokens, config.data.fs_hz)
    return Autoencoder(encoder, Decoder(model, tokens), pose)


def segment_tokens(config: Config) -> int | None:
    """Tokens in one segment, or None where one vector stands for the whole window.

    A segment is rounded up to whole tokens and never longer than the training window. Positional
    pooling without segments takes the training window as its segment.
    """
    window = divide_up(config.data.window_samples, config.model.stride)
    if config.model.segment_seconds is None:
        return None if config.model.pooling == "mean" else window
    samples = round(config.model.segment_seconds * config.data.fs_hz)
    return min(divide_up(samples, config.model.stride), window)


def count_parameters(module: nn.Module) -> int:
    """Learned numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def count_flops(module: nn.Module, *inputs: object) -> int:
    """Floating-point operations of one forward pass (a multiply-add is two), measured by torch."""
    training = module.training
    module.eval()
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    module.train(training)
    return counter.get_total_flops()
