"""The autoencoder's forward pass as training on a CPU computes it: the same weights and results.

The channels of a position lie side by side from the samples to the reconstruction: convolutions
are those of images of one row, and what mixes channels is a matrix product over tokens.

Axes used in this file:
    B  windows    C  channels    N  tokens    D  their channels    F  features    L  samples
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ppgssl.models.autoencoder import Autoencoder, Reconstruction
from ppgssl.models.channel_norm import ChannelNorm
from ppgssl.models.decoder import Decoder
from ppgssl.models.encoder import ContextLayer, Encoder, Windows
from ppgssl.models.image_convolution import as_image, mix_channels, positions
from ppgssl.models.lean_blocks import through
from ppgssl.models.pooling import Broadcast, divide_up
from ppgssl.models.rate_choice import RateChoice
from ppgssl.models.spectral_path import SpectralPath, Spectrum, log_power

Tokens = Float[Tensor, "B N D"]


def can_reconstruct(model: Autoencoder, windows: Windows) -> bool:
    """In training, in float32 on a CPU, with batch norm that knows no other processes."""
    return (
        model.training
        and windows.device.type == "cpu"
        and windows.dtype is torch.float32
        and not windows.requires_grad
        and not torch.is_autocast_enabled("cpu")
        and not any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules())
    )


def reconstruct(model: Autoencoder, windows: Windows, *, keep: bool = True) -> Reconstruction:
    """What `model(windows)` gives.

    Args:
        model: In training.
        windows: Standardised.
        keep: Keep what the backward pass needs; otherwise most of it is computed again.
    """
    encoder, num_samples = model.encoder, windows.shape[-1]
    tokens = encoder_tokens(encoder, windows, keep=keep)
    surroundings = in_context(encoder, windows, tokens).transpose(1, 2)
    segments = encoder.segments_of(surroundings)
    pose = None if model.pose is None else on_tokens(model.pose, tokens)
    return Reconstruction(
        output=decode(model.decoder, segments, num_samples, pose, keep=keep),
        segments=segments,
        surroundings=surroundings,
        embedding=encoder.embedding_of(segments, num_samples),
    )


def encoder_tokens(encoder: Encoder, windows: Windows, *, keep: bool) -> Tokens:
    """The trunk's output."""
    samples = windows[:, :, None].to(memory_format=torch.channels_last)
    return positions(through([encoder.stem, *encoder.blocks], samples, keep=keep))


def in_context(encoder: Encoder, windows: Windows, tokens: Tokens) -> Tokens:
    """`Encoder.surroundings`."""
    if encoder.spectral is not None:
        tokens = tokens + spectra(encoder.spectral, windows)
    for layer in encoder.context:
        tokens = on_tokens(layer, tokens)
    return tokens


def spectra(path: SpectralPath, windows: Windows) -> Tokens:
    """`SpectralPath`."""
    with torch.no_grad():
        pulse_series, slow_series = path.series(windows)
        pulse = spectrum(path.pulse, pulse_series)
        breathing = spectrum(path.breathing, slow_series)
    mixed = torch.cat([pulse, breathing], dim=-1)
    for layer in path.mix:
        mixed = on_tokens(layer, mixed)
    rates = (choose(path.pulse_rate, pulse), choose(path.breathing_rate, breathing))
    return on_tokens(path.join, torch.cat([mixed, *rates], dim=-1))


def spectrum(layer: Spectrum, series: Float[Tensor, "B C L"]) -> Float[Tensor, "B N F"]:
    """`Spectrum` as one matrix product."""
    around = layer.pad(series).unfold(-1, layer.taps, layer.step)
    waves = F.linear(around, layer.sines[:, 0])
    return log_power(*waves.chunk(2, dim=-1)).transpose(1, 2).flatten(2)


def choose(choice: RateChoice, log_powers: Float[Tensor, "B N F"]) -> Float[Tensor, "B N F2"]:
    """`RateChoice`."""
    return choice.describe(on_tokens(choice.score, log_powers))


def decode(
    decoder: Decoder,
    vectors: Float[Tensor, "B S D"],
    num_samples: int,
    pose: Float[Tensor, "B N P"] | None,
    *,
    keep: bool,
) -> Windows:
    """`Decoder` of segments."""
    num_tokens = divide_up(num_samples, decoder.stride)
    segment_tokens = decoder.segment_tokens or num_tokens
    expanded = decoder.expand(vectors)
    if isinstance(decoder.unpool, Broadcast):
        tokens = expanded.repeat_interleave(segment_tokens, dim=1)
    else:
        tokens = torch.einsum("bsc,ck->bskc", expanded, decoder.unpool.code).flatten(1, 2)
    tokens = tokens[:, :num_tokens]
    if pose is not None:
        tokens = tokens + on_tokens(decoder.spread_pose, pose)
    image = through(decoder.blocks, as_image(tokens.contiguous()), keep=keep)
    head = decoder.head
    output = F.conv_transpose2d(
        image,
        head.weight[:, :, None],
        head.bias,
        stride=(1, head.stride[0]),
        padding=(0, int(head.padding[0])),
        output_padding=(0, head.output_padding[0]),
    )
    return output[:, :, 0, :num_samples]


def on_tokens(layer: nn.Module, tokens: Tokens) -> Float[Tensor, "B N E"]:
    """A layer for (B, D, N), of tokens whose channels lie side by side."""
    if isinstance(layer, ContextLayer):
        around, *others = layer.body
        changed = depthwise(around, tokens)
        for other in others:
            changed = on_tokens(other, changed)
        return tokens + changed
    if isinstance(layer, nn.Conv1d):
        return mix_channels(tokens, layer.weight, layer.bias)
    if isinstance(layer, ChannelNorm):
        return nn.LayerNorm.forward(layer, tokens)
    return layer(tokens)


def depthwise(layer: nn.Module, tokens: Tokens) -> Tokens:
    """A dilated convolution of each channel, as one over an image that is not dilated.

    Tokens that meet stand below each other in an image of `dilation` columns: oneDNN has no fast
    kernel for what is both depthwise and dilated.
    """
    assert isinstance(layer, nn.Conv1d)
    columns, num_tokens = layer.dilation[0], tokens.shape[1]
    rows = F.pad(tokens, (0, 0, 0, -num_tokens % columns)).unflatten(1, (-1, columns))
    seen = F.conv2d(
        rows.permute(0, 3, 1, 2),
        layer.weight[..., None],
        padding=(layer.kernel_size[0] // 2, 0),
        groups=layer.groups,
    )
    return seen.permute(0, 2, 3, 1).flatten(1, 2)[:, :num_tokens]
