"""The trunk's layers in training: forward and backward passes that hold and move little memory.

Of a layer the outputs of its convolutions are kept, and what batch norm and ReLU make of them is
computed again, which costs less than reading it back. Where memory binds not even those are: of a
whole row of layers only its input is kept, and what batch norm measured. Same results as the layers
as written, to rounding.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ppgssl.models.decoder import TransposedResidualBlock
from ppgssl.models.encoder import ResidualBlock
from ppgssl.models.image_convolution import Convolution, Image
from ppgssl.models.image_norm import Norm, measure

Norms = tuple[Norm, ...]
Kept = tuple[Image, ...]
Learnt = list[Tensor]  # weight, scale and bias of each convolution


def through(layers: Iterable[nn.Module], image: Image, *, keep: bool) -> Image:
    """An image's way through one layer after the other.

    Args:
        layers: The encoder's stem and blocks of encoder or decoder.
        image: Input of the first one.
        keep: Keep the outputs of the convolutions; otherwise they are computed again.
    """
    row = [Stem(layer) if isinstance(layer, nn.Sequential) else Block(layer) for layer in layers]
    for part in [[layer] for layer in row] if keep else [row]:
        learnt = [weight for layer in part for weight in layer.learnt]
        image = _Row.apply(image, part, keep, *learnt)
    return image


class NormalisedConvolution:
    """A convolution and the batch norm behind it."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        assert isinstance(conv.weight, Tensor)
        assert isinstance(norm.weight, Tensor)
        assert isinstance(norm.bias, Tensor)
        self.learnt: Learnt = [conv.weight, norm.weight, norm.bias]
        self._shape = Convolution.of(conv)
        self._norm = norm

    def convolve(self, image: Image) -> Image:
        """The convolution alone."""
        return self._shape(image, self.learnt[0], None)

    def measure(self, convolved: Image) -> Norm:
        """What the batch is normalised by."""
        return measure(self._norm, convolved, *self.learnt[1:])

    def weight_gradient(self, gradient: Image, image: Image) -> Tensor:
        """Of the convolution."""
        return self._shape.weight_gradient(gradient, image, self.learnt[0].shape[-1])

    def input_gradient(self, gradient: Image, image: Image) -> Image:
        """Of the convolution."""
        return self._shape.input_gradient(gradient, image, self.learnt[0])


class Stem:
    """Convolution, batch norm and ReLU of samples, which need no gradient."""

    def __init__(self, layers: nn.Sequential) -> None:
        self._only = NormalisedConvolution(layers[0], layers[1])
        self.learnt = self._only.learnt

    def forward(self, image: Image, norms: Norms | None) -> tuple[Image, Norms, Kept]:
        """As `Block.forward`."""
        convolved = self._only.convolve(image)
        (norm,) = norms or (self._only.measure(convolved),)
        return norm(convolved).relu_(), (norm,), (convolved,)

    def again(self, image: Image, norms: Norms) -> Image:
        """As `Block.again`."""
        return self.forward(image, norms)[0]

    def backward(
        self, gradient: Image, image: Image, norms: Norms, kept: Kept
    ) -> tuple[None, Learnt]:
        """As `Block.backward`."""
        convolved = kept[0] if kept else self._only.convolve(image)
        (norm,) = norms
        gradient = through_relu(gradient, norm(convolved))
        gradient, of_scale, of_bias = norm.backward(gradient, convolved)
        return None, [self._only.weight_gradient(gradient, image), of_scale, of_bias]


class Block:
    """relu(norm(second(relu(norm(first(x))))) + norm(skip(x))), of encoder or decoder."""

    def __init__(self, layers: nn.Module) -> None:
        assert isinstance(layers, ResidualBlock | TransposedResidualBlock)
        body, skip = layers.body, layers.skip
        self._first = NormalisedConvolution(body[0], body[1])
        self._second = NormalisedConvolution(body[3], body[4])
        self._skip = NormalisedConvolution(skip[0], skip[1])
        self.learnt = self._first.learnt + self._second.learnt + self._skip.learnt

    def forward(self, image: Image, norms: Norms | None) -> tuple[Image, Norms, Kept]:
        """Output, what each batch norm measured, and what spares the backward pass work.

        Args:
            image: Input.
            norms: What was measured of this input before, where it was.
        """
        once = self._first.convolve(image)
        first_norm = norms[0] if norms else self._first.measure(once)
        twice = self._second.convolve(first_norm(once).relu_())
        second_norm = norms[1] if norms else self._second.measure(twice)
        beside = self._skip.convolve(image)
        skip_norm = norms[2] if norms else self._skip.measure(beside)
        output = second_norm(twice).add_(skip_norm(beside)).relu_()
        return output, (first_norm, second_norm, skip_norm), (once, twice, beside, output)

    def again(self, image: Image, norms: Norms) -> Image:
        """The output alone, once more, holding as little as can be in between."""
        first_norm, second_norm, skip_norm = norms
        inner = first_norm(self._first.convolve(image)).relu_()
        output = second_norm(self._second.convolve(inner))
        del inner
        return output.add_(skip_norm(self._skip.convolve(image))).relu_()

    def backward(
        self, gradient: Image, image: Image, norms: Norms, kept: Kept
    ) -> tuple[Image, Learnt]:
        """Gradients by the input and by what is learnt.

        Args:
            gradient: By the output.
            image: Input.
            norms: What was measured.
            kept: What the forward pass said, or nothing.
        """
        first_norm, second_norm, skip_norm = norms
        first, second, skip = self._first, self._second, self._skip
        once = kept[0] if kept else first.convolve(image)
        twice = kept[1] if kept else second.convolve(first_norm(once).relu_())
        beside = kept[2] if kept else skip.convolve(image)
        if kept:
            gradient = through_relu(gradient, kept[3])
        else:
            gradient = _through_sum(gradient, (second_norm, twice), (skip_norm, beside))
        del kept

        of_beside, *of_skip_norm = skip_norm.backward(gradient, beside)
        del beside
        of_skip = skip.weight_gradient(of_beside, image)
        of_image = skip.input_gradient(of_beside, image)
        del of_beside
        of_twice, *of_second_norm = second_norm.backward(gradient, twice)
        del gradient, twice
        inner = first_norm(once).relu_()
        of_second = second.weight_gradient(of_twice, inner)
        of_inner = through_relu(second.input_gradient(of_twice, inner), inner)
        del of_twice, inner
        of_once, *of_first_norm = first_norm.backward(of_inner, once)
        del of_inner, once
        of_first = first.weight_gradient(of_once, image)
        of_image.add_(first.input_gradient(of_once, image))
        learnt = [of_first, *of_first_norm, of_second, *of_second_norm, of_skip, *of_skip_norm]
        return of_image, learnt


class _Row(Function):
    """Layers one after the other; one alone where what it computes is kept."""

    @staticmethod
    def forward(
        ctx: Any, image: Image, layers: Sequence[Stem | Block], keep: bool, *learnt: Tensor
    ) -> Image:
        given, kept = image, Kept()
        ctx.layers, ctx.norms = layers, []
        for layer in layers:
            image, norms, inner = layer.forward(image, None)
            ctx.norms.append(norms)
            kept = inner if keep else ()
            del inner
        ctx.save_for_backward(given, *kept)
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Image) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        given, *kept = ctx.saved_tensors
        images = [given]
        for layer, norms in zip(ctx.layers[:-1], ctx.norms[:-1], strict=True):
            images.append(layer.again(images[-1], norms))
        of_learnt: list[Tensor] = []
        for layer, norms in zip(reversed(ctx.layers), reversed(ctx.norms), strict=True):
            gradient, found = layer.backward(gradient, images.pop(), norms, tuple(kept))
            of_learnt = [*found, *of_learnt]
        return gradient, None, None, *of_learnt


def through_relu(gradient: Image, output: Image, out: Image | None = None) -> Image:
    """The gradient where the ReLU let its input through, in channels last whatever it comes in."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    if out is None:
        return torch.ops.aten.threshold_backward(gradient, output, 0)
    return torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=out)


def _through_sum(gradient: Image, *summands: tuple[Norm, Image]) -> Image:
    """`through_relu` of two normalised images' sum, a window at a time: the sum is not held."""
    (norm, image), (other_norm, other) = summands
    masked = torch.empty_like(image)
    for at in range(len(image)):
        window = slice(at, at + 1)
        output = norm(image[window]).add_(other_norm(other[window]))
        through_relu(gradient[window], output, out=masked[window])
    return masked
