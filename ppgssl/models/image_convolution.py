"""Convolutions of images of one row in channels last, and the gradients that training needs.

What mixes the channels of tokens is such a convolution too.

oneDNN is as fast as a matrix product there forward and for the gradient of the input, and at a
third of it for the gradient of the weight, which is made of matrix products here (docs/log.md).

Axes used in this file:
    B  windows    C, D  channels    L  positions, M of them after a stride    R  rows
"""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Image = Float[Tensor, "B _ 1 _"]
Weight = Float[Tensor, "_ _ _"]

FEWEST_CHANNELS = 8  # below, a matrix product for each tap has too little to multiply
FEWEST_POSITIONS = 4  # below, taps fall off both ends of an image
FEWEST_NUMBERS = 2**18  # in an image; below, more calls cost more than wider products save
STRETCH_ROWS = 2048  # of one product: one thread each, and the sums over stretches cost nothing


@dataclass(frozen=True, slots=True)
class Convolution:
    """The shape of an `nn.Conv1d` or `nn.ConvTranspose1d` without groups and dilation."""

    stride: int
    padding: int
    output_padding: int
    transposed: bool

    @classmethod
    def of(cls, layer: nn.Module) -> "Convolution":
        """Of a layer."""
        assert isinstance(layer, nn.Conv1d | nn.ConvTranspose1d)
        assert layer.groups == layer.dilation[0] == 1
        assert isinstance(layer.padding[0], int)
        return cls(
            layer.stride[0],
            layer.padding[0],
            layer.output_padding[0],
            isinstance(layer, nn.ConvTranspose1d),
        )

    def __call__(self, image: Image, weight: Weight, bias: Float[Tensor, " _"] | None) -> Image:
        """The convolution."""
        return torch.convolution(image, weight[:, :, None], bias, *self._arguments())

    def input_gradient(self, gradient: Image, image: Image, weight: Weight) -> Image:
        """Of a loss whose gradient by the output is given."""
        return torch.ops.aten.convolution_backward(
            gradient, image, weight[:, :, None], None, *self._arguments(), [True, False, False]
        )[0]

    def weight_gradient(self, gradient: Image, image: Image, taps: int) -> Weight:
        """The same by the weight: of each tap, one image's positions times the other's.

        A convolution reads a long image and writes a short one, a transposed one the reverse. A row
        of the long one here is as many of its positions as lie under one of the short one, so that
        taps which meet neighbours are one wider product, which is faster.
        """
        short, long = (image, gradient) if self.transposed else (gradient, image)
        short, long = positions(short), positions(long)
        channels, missing = long.shape[-1], short.shape[1] * self.stride - long.shape[1]
        is_small = min(gradient.numel(), image.numel()) < FEWEST_NUMBERS
        is_narrow = channels < FEWEST_CHANNELS or short.shape[1] < FEWEST_POSITIONS
        if is_small or is_narrow or missing < 0:
            return self._of_all_taps(short, long, taps)
        if (self.stride, self.padding, taps) == (1, 1, 3):
            return _of_three_taps(short, long)
        padded = nn.functional.pad(long, (0, 0, 0, missing)) if missing else long
        rows = padded.unflatten(1, (-1, self.stride)).flatten(2)
        found: list[Float[Tensor, "C D"]] = []
        offsets = range(-self.padding, taps - self.padding)
        for shift, beside in itertools.groupby(offsets, lambda offset: offset // self.stride):
            places = [offset % self.stride for offset in beside]
            met = rows[..., places[0] * channels : (places[-1] + 1) * channels]
            found += _of_shifted(short, met, shift).unflatten(1, (-1, channels)).unbind(1)
        return torch.stack(found, dim=-1)

    def _of_all_taps(
        self, short: Float[Tensor, "B M C"], long: Float[Tensor, "B L D"], taps: int
    ) -> Weight:
        behind = (short.shape[1] - 1) * self.stride + taps - self.padding - long.shape[1]
        padded = nn.functional.pad(long, (0, 0, self.padding, max(0, behind)))
        met = padded.unfold(1, taps, self.stride)[:, : short.shape[1]].flatten(2)
        products = _product(short.flatten(0, 1), met.flatten(0, 1))
        return products.unflatten(1, (long.shape[-1], taps))

    def _arguments(self) -> tuple[Any, ...]:
        return (
            (1, self.stride),
            (0, self.padding),
            (1, 1),
            self.transposed,
            (0, self.output_padding),
            1,
        )


POINTWISE = Convolution(stride=1, padding=0, output_padding=0, transposed=False)


def _of_three_taps(short: Float[Tensor, "B L C"], long: Float[Tensor, "B L D"]) -> Weight:
    """Of a convolution that keeps the length: pairs of positions, of which a product meets four.

    As many multiplications as tap by tap, most of them in a product of twice the width.
    """
    one, other = short.flatten(0, 1), long.flatten(0, 1)
    even = len(one) // 2 * 2
    left, right = (x[:even].unflatten(0, (-1, 2)).flatten(1) for x in (one, other))
    c, d = one.shape[1], other.shape[1]
    within = _product(left, right)
    after = _product(left[:-1, c:], right[1:, :d])
    before = _product(left[1:, :c], right[:-1, d:])
    taps = [before + within[c:, :d], within[:c, :d] + within[c:, d:], after + within[:c, d:]]
    if even < len(one):
        taps[0] += torch.outer(one[even], other[even - 1])
        taps[1] += torch.outer(one[even], other[even])
        taps[2] += torch.outer(one[even - 1], other[even])
    taps[0] -= _across(long, short, 1).T
    taps[2] -= _across(short, long, 1)
    return torch.stack(taps, dim=-1)


def _of_shifted(
    short: Float[Tensor, "B M C"], long: Float[Tensor, "B M D"], shift: int
) -> Float[Tensor, "C D"]:
    """Each position times the one `shift` places later in the other image.

    All windows are one long one, less what meets across their ends: many short windows would be as
    many small products, and more to add up than to multiply.
    """
    if shift < 0:
        return _of_shifted(long, short, -shift).T
    one, other = short.flatten(0, 1), long.flatten(0, 1)
    if shift == 0:
        return _product(one, other)
    return _product(one[:-shift], other[shift:]) - _across(short, long, shift)


def _across(
    short: Float[Tensor, "B M C"], long: Float[Tensor, "B M D"], shift: int
) -> Float[Tensor, "C D"]:
    """The share of `_of_shifted` of one window's last positions and the next one's first."""
    return short[:-1, -shift:].flatten(0, 1).T @ long[1:, :shift].flatten(0, 1)


def _product(one: Float[Tensor, "R C"], other: Float[Tensor, "R D"]) -> Float[Tensor, "C D"]:
    """Sum over all rows of what they hold times each other, a stretch of them at a time."""
    stretches = max(1, len(one) // STRETCH_ROWS)
    rows = len(one) // stretches
    whole = stretches * rows
    cut = [x[:whole].unflatten(0, (stretches, rows)) for x in (one, other)]
    product = torch.bmm(cut[0].transpose(1, 2), cut[1]).sum(0)
    return product.addmm_(one[whole:].T, other[whole:]) if whole < len(one) else product


def mix_channels(
    tokens: Float[Tensor, "B L C"], weight: Float[Tensor, "D C 1"], bias: Float[Tensor, " D"] | None
) -> Float[Tensor, "B L D"]:
    """A linear layer for each token, by oneDNN and with gradients like those of a convolution."""
    if tokens.numel() < FEWEST_NUMBERS:
        return nn.functional.linear(tokens, weight[..., 0], bias)
    return _ChannelMixing.apply(tokens.contiguous(), weight, bias)


class _ChannelMixing(Function):
    """`mix_channels` of tokens that lie in one piece."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(tokens, weight)
        return positions(POINTWISE(as_image(tokens), weight, bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        tokens, weight = ctx.saved_tensors
        of_tokens, _, of_bias = ctx.needs_input_grad
        image, changed = as_image(tokens), as_image(gradient.contiguous())
        return (
            positions(POINTWISE.input_gradient(changed, image, weight)) if of_tokens else None,
            POINTWISE.weight_gradient(changed, image, taps=1),
            gradient.sum((0, 1)) if of_bias else None,
        )


def positions(image: Float[Tensor, "B C 1 L"]) -> Float[Tensor, "B L C"]:
    """The same memory by position."""
    return image[:, :, 0].transpose(1, 2)


def as_image(tokens: Float[Tensor, "B L C"]) -> Float[Tensor, "B C 1 L"]:
    """The same memory as an image of one row in channels last."""
    return tokens.transpose(1, 2)[:, :, None]
