"""The encoder's forward pass on a CPU: the same weights and results, in half the time.

Batch norm is folded into the convolutions; ReLU, and the sum with the skip, into their last pass
over memory. The channels of a position lie side by side, so that whatever comes after the trunk is
a matrix product over tokens. Nothing is compiled: an encoder is ready as soon as it is loaded.

A lone window is computed in stretches of its time, a lane each. What a stretch sees of its
neighbours it computes too, so that its tokens are those of the whole window.

Axes used in this file:
    B  windows in a batch    T  samples of a window     D  channels of a token
    C  channels              L  positions               O  output channels
    N  tokens of a window    S  segments of a window    F  frequencies

Source:
    The oneDNN operators that torch.compile emits for a CPU, called without it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ppgssl.inference.lanes import lanes
from ppgssl.models.channel_norm import ChannelNorm
from ppgssl.models.encoder import CONTEXT_KERNEL, ContextLayer, Encoder, ResidualBlock, Windows
from ppgssl.models.pooling import divide_up
from ppgssl.models.spectral_path import SpectralPath, Spectrum, log_power

Image = Float[Tensor, "B C H L"]
Tokens = Float[Tensor, "B N D"]

onednn = torch.ops.mkldnn
USUAL_LENGTH = 2_000  # positions; oneDNN lays out weights for about so many
TRUNK_REACH = 3  # tokens: 3 samples of the stem and 3 * (stride - 2) of the blocks


def can_fuse(device: torch.device) -> bool:
    """Whether this build of PyTorch has the operators for a device."""
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


class FusedEncoder:
    """Segment vectors of an encoder in evaluation mode; its weights are copied once.

    Args:
        encoder: In evaluation mode, on the CPU.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._stem = _Convolution(encoder.stem[0], encoder.stem[1])
        self._blocks = [_Block(block) for block in encoder.blocks]
        self._spectral = None if encoder.spectral is None else _Spectra(encoder.spectral)
        self._context = [_on_tokens(layer) for layer in encoder.context]
        self._context_reach = sum(
            layer.dilation * (CONTEXT_KERNEL // 2)
            for layer in encoder.context
            if isinstance(layer, ContextLayer)
        )

    def segments(self, windows: Windows, stretches: int = 1) -> Float[Tensor, "B S D"]:
        """One vector per segment, in order of time, not whitened.

        Args:
            windows: Standardised.
            stretches: How many lanes share the windows' time; with 1 the caller's threads share
                every layer.
        """
        num_tokens = divide_up(windows.shape[-1], self._encoder.stride)
        size = divide_up(num_tokens, stretches)
        parts = [
            slice(start, min(start + size, num_tokens)) for start in range(0, num_tokens, size)
        ]
        side_by_side = map if len(parts) == 1 else lanes().map
        series = [] if self._spectral is None else self._spectral.series(windows)
        tokens = _joined(side_by_side(partial(self._tokens, windows, series), parts))
        tokens = _joined(side_by_side(partial(self._in_context, tokens), parts))
        return self._encoder.segments_of(tokens.transpose(1, 2))

    @torch.inference_mode()
    def _tokens(self, windows: Windows, series: Sequence[Tensor], part: slice) -> Tokens:
        num_samples, stride = windows.shape[-1], self._encoder.stride
        around, inner = _widened(part, TRUNK_REACH, divide_up(num_samples, stride))
        seen = windows[..., around.start * stride : around.stop * stride]
        image = seen[:, :, None].contiguous(memory_format=torch.channels_last)
        image = self._stem.relu(image)
        for block in self._blocks:
            image = block(image)
        tokens = as_tokens(image)[:, inner]
        if self._spectral is not None:
            tokens += self._spectral(series, part)
        return tokens

    @torch.inference_mode()
    def _in_context(self, tokens: Tokens, part: slice) -> Tokens:
        around, inner = _widened(part, self._context_reach, tokens.shape[1])
        seen = tokens[:, around]
        for layer in self._context:
            seen = layer(seen)
        return seen[:, inner]


class _Convolution:
    """A convolution along the last axis of an image (B, C, 1, L), the norm behind it folded in."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        assert isinstance(conv, nn.Conv1d)
        weight, self._bias = fold(conv, norm)
        self._shape = ([0, *conv.padding], [1, *conv.stride], [1, *conv.dilation], conv.groups)
        self._weight = pack_convolution(weight[:, :, None], self._shape)

    def relu(self, image: Image) -> Image:
        """Followed by a ReLU."""
        return onednn._convolution_pointwise(
            image, self._weight, self._bias, *self._shape, "relu", [], ""
        )

    def add_relu(self, image: Image, into: Image) -> Image:
        """Added to `into`, in place, and followed by a ReLU."""
        return onednn._convolution_pointwise_.binary(
            into, image, self._weight, self._bias, *self._shape, "add", 1.0, "relu", [], ""
        )


class _Linear:
    """The same matrix for every token."""

    def __init__(self, weight: Float[Tensor, "O C"], bias: Float[Tensor, " O"] | None) -> None:
        self._weight = onednn._reorder_linear_weight(weight.detach().contiguous())
        self._bias = bias

    def __call__(self, tokens: Float[Tensor, "B N C"]) -> Float[Tensor, "B N O"]:
        return onednn._linear_pointwise(tokens, self._weight, self._bias, "none", [], "")


class _Block:
    """`ResidualBlock` in three passes over memory."""

    def __init__(self, block: nn.Module) -> None:
        assert isinstance(block, ResidualBlock)
        self._first = _Convolution(block.body[0], block.body[1])
        self._second = _Convolution(block.body[3], block.body[4])
        weight, bias = fold(block.skip[0], block.skip[1])
        self._skip = _Linear(weight[..., 0], bias)

    def __call__(self, image: Image) -> Image:
        skipped = self._skip(as_tokens(image)[:, ::2])
        return self._second.add_relu(self._first.relu(image), into=as_image(skipped))


class _Spectra:
    """`SpectralPath` with the features of a token side by side."""

    def __init__(self, path: SpectralPath) -> None:
        self._path = path
        self._pulse, self._breathing = _Spectrum(path.pulse), _Spectrum(path.breathing)
        self._mix = [_on_tokens(layer) for layer in path.mix]
        self._pulse_score = _on_tokens(path.pulse_rate.score)
        self._breathing_score = _on_tokens(path.breathing_rate.score)
        self._describe = path.pulse_rate.describe, path.breathing_rate.describe
        self._join = _on_tokens(path.join)

    def series(self, windows: Windows) -> list[Tensor]:
        """What the spectra of all tokens are taken of."""
        pulse, slow = self._path.series(windows)
        return [self._path.pulse.pad(pulse), self._path.breathing.pad(slow)]

    def __call__(self, series: Sequence[Tensor], part: slice) -> Tokens:
        pulse_series, slow_series = series
        pulse, breathing = self._pulse(pulse_series, part), self._breathing(slow_series, part)
        mixed = torch.cat([pulse, breathing], dim=-1)
        for layer in self._mix:
            mixed = layer(mixed)
        describe_pulse, describe_breathing = self._describe
        rates = (
            describe_pulse(self._pulse_score(pulse)),
            describe_breathing(self._breathing_score(breathing)),
        )
        return self._join(torch.cat([mixed, *rates], dim=-1))


class _Spectrum:
    """`Spectrum` as one matrix product."""

    def __init__(self, spectrum: Spectrum) -> None:
        self._spectrum = spectrum
        self._sines = _Linear(spectrum.sines[:, 0], None)

    def __call__(self, padded: Float[Tensor, "B C L"], part: slice) -> Float[Tensor, "B N F"]:
        step, taps = self._spectrum.step, self._spectrum.taps
        seen = padded[..., part.start * step : (part.stop - 1) * step + taps]
        around = seen.unfold(-1, taps, step)
        waves = self._sines(around.flatten(0, 1)).unflatten(0, padded.shape[:2])
        return log_power(*waves.chunk(2, dim=-1)).transpose(1, 2).flatten(2)


class _Context:
    """`ContextLayer` with the channels of a token side by side."""

    def __init__(self, layer: ContextLayer) -> None:
        around, *others = layer.body
        self._around = _Depthwise(around)
        self._others = [_on_tokens(other) for other in others]

    def __call__(self, tokens: Tokens) -> Tokens:
        changed = self._around(tokens)
        for layer in self._others:
            changed = layer(changed)
        return changed.add_(tokens)


class _Depthwise:
    """A dilated convolution of each channel, as one over an image that is not dilated.

    Tokens that meet stand below each other in an image of `dilation` columns: oneDNN has no fast
    kernel for what is both depthwise and dilated.
    """

    def __init__(self, conv: nn.Module) -> None:
        assert isinstance(conv, nn.Conv1d)
        self._columns = conv.dilation[0]
        self._shape = ([conv.kernel_size[0] // 2, 0], [1, 1], [1, 1], conv.groups)
        self._weight = pack_convolution(conv.weight[..., None], self._shape)

    def __call__(self, tokens: Tokens) -> Tokens:
        num_tokens = tokens.shape[1]
        missing = -num_tokens % self._columns
        rows = F.pad(tokens, (0, 0, 0, missing)).unflatten(1, (-1, self._columns))
        seen: Image = onednn._convolution_pointwise(
            rows.permute(0, 3, 1, 2), self._weight, None, *self._shape, "none", [], ""
        )
        return seen.permute(0, 2, 3, 1).flatten(1, 2)[:, :num_tokens]


def _on_tokens(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """The same layer for (B, N, C) in place of (B, C, N)."""
    if isinstance(layer, ContextLayer):
        return _Context(layer)
    if isinstance(layer, nn.Conv1d):
        return _Linear(layer.weight[..., 0], layer.bias)
    if isinstance(layer, ChannelNorm):
        return partial(nn.LayerNorm.forward, layer)
    return layer


def _widened(part: slice, reach: int, num_tokens: int) -> tuple[slice, slice]:
    """A part with as many tokens on either side as it sees, and where it lies among them."""
    start, stop = max(0, part.start - reach), min(num_tokens, part.stop + reach)
    return slice(start, stop), slice(part.start - start, part.stop - start)


def _joined(parts: Iterable[Tokens]) -> Tokens:
    first, *others = parts
    return torch.cat([first, *others], dim=1) if others else first


def fold(conv: nn.Module, norm: nn.Module) -> tuple[Float[Tensor, "O C K"], Float[Tensor, " O"]]:
    """Weight and bias of the one convolution that does what a convolution and its batch norm do."""
    assert isinstance(conv, nn.Conv1d)
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    bias = norm.bias - norm.running_mean * scale
    return (conv.weight * scale[:, None, None]).detach(), bias.detach()


def pack_convolution(weight: Float[Tensor, "O C H K"], shape: Sequence[Any]) -> Tensor:
    """The weight laid out as oneDNN reads it, once rather than with every call."""
    *_, groups = shape
    usual = [1, groups * weight.shape[1], 1, USUAL_LENGTH]
    packed: Tensor = torch.ops.aten.mkldnn_reorder_conv2d_weight(
        weight.detach().to_mkldnn(), *shape, usual
    )
    return packed


def as_tokens(image: Image) -> Tokens:
    """The same memory by position; images are channels-last."""
    return image[:, :, 0].transpose(1, 2)


def as_image(tokens: Tokens) -> Image:
    """The same memory as an image of one row."""
    return tokens.transpose(1, 2)[:, :, None]
