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

        A convolution reads a long image and writes a short one, a transposed one the reverse.
        """
        short, long = (image, gradient) if self.transposed else (gradient, image)
        short, long = positions(short), positions(long)
        if long.shape[-1] < FEWEST_CHANNELS:
            return self._of_all_taps(short, long, taps)
        return torch.stack([self._of_tap(short, long, tap) for tap in range(taps)], dim=-1)

    def _of_tap(
        self, short: Float[Tensor, "B M C"], long: Float[Tensor, "B L D"], tap: int
    ) -> Float[Tensor, "C D"]:
        offset = tap - self.padding
        first = max(0, -(offset // self.stride))
        start = first * self.stride + offset
        count = min(short.shape[1] - first, (long.shape[1] - 1 - start) // self.stride + 1)
        met = long[:, start : start + (count - 1) * self.stride + 1 : self.stride]
        return torch.bmm(short[:, first : first + count].transpose(1, 2), met).sum(0)

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


def positions(image: Float[Tensor, "B C 1 L"]) -> Float[Tensor, "B L C"]:
    """The same memory by position."""
    return image[:, :, 0].transpose(1, 2)


def as_image(tokens: Float[Tensor, "B L C"]) -> Float[Tensor, "B C 1 L"]:
    """The same memory as an image of one row in channels last."""
    return tokens.transpose(1, 2)[:, :, None]
