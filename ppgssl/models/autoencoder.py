"""The model that is trained: an encoder and a decoder joined by one vector per segment."""

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
    """What one forward pass gives."""

    output: Float[Tensor, "B C T"]
    embedding: Float[Tensor, "B D"]


class Autoencoder(nn.Module):
    """Encode a window to its segments' vectors and reconstruct the denoised window from them."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, windows: Float[Tensor, "B C T"]) -> Reconstruction:
        """Reconstruct standardised windows; also give their embeddings."""
        num_samples = windows.shape[-1]
        segments = self.encoder.segments(windows)
        return Reconstruction(
            output=self.decoder(segments, num_samples),
            embedding=self.encoder.pool_segments(segments, num_samples),
        )


def build_autoencoder(config: Config) -> Autoencoder:
    """An untrained model; weights come from torch's global generator."""
    tokens = segment_tokens(config)
    return Autoencoder(Encoder(config.model, tokens), Decoder(config.model, tokens))


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
