"""Convolutions of images of one row in channels last, and the gradients that training needs.

oneDNN is as fast as a matrix product there forward and for the gradient of the input, and at a
third of it for the gradient of the weight, which is made of matrix products here (docs/log.md).

Axes used in this file:
    B  windows    C  channels    L  positions, M of them after a stride    K  taps
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Image = Float[Tensor, "B _ 1 _"]
Weight = Float[Tensor, "_ _ _"]

FEWEST_CHANNELS = 8  # below, a matrix product for each tap has too little to multiply
FEWEST_POSITIONS = 4  # below, taps fall off both ends of an image


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

    def __call__(self, image: Image, weight: Weight) -> Image:
        """The convolution, without a bias."""
        return torch.convolution(image, weight[:, :, None], None, *self._arguments())

    def input_gradient(self, gradient: Image, image: Image, weight: Weight) -> Image:
        """Of a loss whose gradient by the output is given."""
        return torch.ops.aten.convolution_backward(
            gradient, image, weight[:, :, None], None, *self._arguments(), [True, False, False]
        )[0]

    def weight_gradient(self, gradient: Image, image: Image, taps: int) -> Weight:
        """The same by the weight: of each tap, one image's positions times the other's.

        Taps that meet neighbouring positions are one wider product, which is faster.

        A convolution reads a long image and writes a short one, a transposed one the reverse.
        """
        short, long = (image, gradient) if self.transposed else (gradient, image)
        short, long = positions(short), positions(long)
        if long.shape[-1] < FEWEST_CHANNELS or short.shape[1] < FEWEST_POSITIONS:
            return self._of_all_taps(short, long, taps)
        if (self.stride, self.padding, taps) == (1, 1, 3):
            return _of_three_taps(short, long)
        found: list[Float[Tensor, "C D"]] = []
        while len(found) < taps:
            beside = self.stride - (len(found) - self.padding) % self.stride
            found += self._of_neighbours(short, long, len(found), min(beside, taps - len(found)))
        return torch.stack(found, dim=-1)

    def _of_neighbours(
        self, short: Float[Tensor, "B M C"], long: Float[Tensor, "B L D"], tap: int, count: int
    ) -> list[Float[Tensor, "C D"]]:
        """Of taps that meet positions beside each other, which are one wide row to the product."""
        offset = tap - self.padding
        first = max(0, -(offset // self.stride))
        start = first * self.stride + offset
        wide = long[:, start:].unfold(1, count, self.stride)[:, : short.shape[1] - first]
        rows = wide.shape[1]
        wide = wide.transpose(2, 3).flatten(2)
        products = torch.bmm(short[:, first : first + rows].transpose(1, 2), wide).sum(0)
        found = list(products.unflatten(1, (count, -1)).unbind(1))
        at = start + rows * self.stride
        if first + rows < short.shape[1]:  # the last row is cut off by the image's end
            for number in range(min(count, long.shape[1] - at)):
                found[number] = found[number] + short[:, first + rows].T @ long[:, at + number]
        return found

    def _of_all_taps(
        self, short: Float[Tensor, "B M C"], long: Float[Tensor, "B L D"], taps: int
    ) -> Weight:
        behind = (short.shape[1] - 1) * self.stride + taps - self.padding - long.shape[1]
        padded = nn.functional.pad(long, (0, 0, self.padding, max(0, behind)))
        met = padded.unfold(1, taps, self.stride)[:, : short.shape[1]].flatten(2)
        products = torch.bmm(short.transpose(1, 2), met).sum(0)
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


def _of_three_taps(short: Float[Tensor, "B L C"], long: Float[Tensor, "B L D"]) -> Weight:
    """Of a convolution that keeps the length: pairs of positions, of which a product meets four.

    As many multiplications as tap by tap, most of them in a product of twice the width.
    """
    even = short.shape[1] // 2 * 2
    left, right = (x[:, :even].unflatten(1, (-1, 2)).flatten(2) for x in (short, long))
    c, d = short.shape[2], long.shape[2]
    within = torch.bmm(left.transpose(1, 2), right).sum(0)
    after = torch.bmm(left[:, :-1, c:].transpose(1, 2), right[:, 1:, :d]).sum(0)
    before = torch.bmm(left[:, 1:, :c].transpose(1, 2), right[:, :-1, d:]).sum(0)
    taps = [before + within[c:, :d], within[:c, :d] + within[c:, d:], after + within[:c, d:]]
    if even < short.shape[1]:
        taps[0] += short[:, even].T @ long[:, even - 1]
        taps[1] += short[:, even].T @ long[:, even]
        taps[2] += short[:, even - 1].T @ long[:, even]
    return torch.stack(taps, dim=-1)


def positions(image: Float[Tensor, "B C 1 L"]) -> Float[Tensor, "B L C"]:
    """The same memory by position."""
    return image[:, :, 0].transpose(1, 2)


def as_image(tokens: Float[Tensor, "B L C"]) -> Float[Tensor, "B C 1 L"]:
    """The same memory as an image of one row in channels last."""
    return tokens.transpose(1, 2)[:, :, None]
