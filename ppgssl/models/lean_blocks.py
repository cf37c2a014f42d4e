"""The trunk's blocks in training: forward and backward passes that hold and move little memory.

Of a block the outputs of its three convolutions are kept, and what batch norm and ReLU make of them
is computed again, which costs less than reading it back. Where memory binds not even those are.
Same results as the layers as written, to rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ppgssl.models.decoder import TransposedResidualBlock
from ppgssl.models.encoder import ResidualBlock
from ppgssl.models.image_convolution import Convolution, Image
from ppgssl.models.image_norm import Norm, measure

Block = ResidualBlock | TransposedResidualBlock


def stem(layers: nn.Sequential, image: Image) -> Image:
    """Convolution, batch norm and ReLU of samples, which need no gradient."""
    conv, norm, _ = layers
    return _Stem.apply(image, layers, conv.weight, norm.weight, norm.bias)


def block(layers: nn.Module, image: Image, *, keep: bool) -> Image:
    """A residual block of encoder or decoder.

    Args:
        layers: The block.
        image: Its input.
        keep: Keep the outputs of the convolutions; otherwise they are computed again.
    """
    assert isinstance(layers, Block)
    body, skip = layers.body, layers.skip
    learnt = [
        parameter
        for conv, norm in ((body[0], body[1]), (body[3], body[4]), (skip[0], skip[1]))
        for parameter in (conv.weight, norm.weight, norm.bias)
    ]
    return _Block.apply(image, layers, keep, *learnt)


class _Stem(Function):
    """Keeps the convolution's output."""

    @staticmethod
    def forward(ctx: Any, image: Image, layers: nn.Sequential, *learnt: Tensor) -> Image:
        weight, scale, bias = learnt
        ctx.convolution = Convolution.of(layers[0])
        convolved = ctx.convolution(image, weight)
        norm = measure(layers[1], convolved, scale, bias)
        ctx.eps = norm.eps
        ctx.save_for_backward(image, convolved, weight, *norm[:4])
        return norm(convolved).relu_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Image) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        image, convolved, weight, *figures = ctx.saved_tensors
        norm = Norm(*figures, eps=ctx.eps)
        gradient = _through_relu(gradient, norm(convolved))
        gradient, of_scale, of_bias = norm.backward(gradient, convolved)
        of_weight = ctx.convolution.weight_gradient(gradient, image, weight.shape[-1])
        return None, None, of_weight, of_scale, of_bias


class _Block(Function):
    """relu(norm(second(relu(norm(first(x))))) + norm(skip(x)))."""

    @staticmethod
    def forward(ctx: Any, image: Image, layers: Block, keep: bool, *learnt: Tensor) -> Image:
        first_weight, _, _, second_weight, _, _, skip_weight, _, _ = learnt
        ctx.first, ctx.second, ctx.skip = (
            Convolution.of(layer) for layer in (layers.body[0], layers.body[3], layers.skip[0])
        )
        once = ctx.first(image, first_weight)
        first_norm = measure(layers.body[1], once, *learnt[1:3])
        twice = ctx.second(first_norm(once).relu_(), second_weight)
        second_norm = measure(layers.body[4], twice, *learnt[4:6])
        beside = ctx.skip(image, skip_weight)
        skip_norm = measure(layers.skip[1], beside, *learnt[7:9])
        output = second_norm(twice).add_(skip_norm(beside)).relu_()
        norms = (first_norm, second_norm, skip_norm)
        ctx.eps = tuple(norm.eps for norm in norms)
        measured = [figure for norm in norms for figure in (norm.mean, norm.variance)]
        kept = (once, twice, beside, output) if keep else ()
        ctx.save_for_backward(image, *learnt, *measured, *kept)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Image) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        image, *others = ctx.saved_tensors
        learnt, measured, kept = others[:9], others[9:15], others[15:]
        first_norm, second_norm, skip_norm = (
            Norm(*learnt_by_norm, *figures, eps=eps)
            for learnt_by_norm, figures, eps in zip(
                (learnt[1:3], learnt[4:6], learnt[7:9]),
                (measured[:2], measured[2:4], measured[4:]),
                ctx.eps,
                strict=True,
            )
        )
        first_weight, second_weight, skip_weight = learnt[::3]
        once = kept[0] if kept else ctx.first(image, first_weight)
        inner = first_norm(once).relu_()
        twice = kept[1] if kept else ctx.second(inner, second_weight)
        beside = kept[2] if kept else ctx.skip(image, skip_weight)
        output = kept[3] if kept else second_norm(twice).add_(skip_norm(beside))
        del others, kept

        gradient = _through_relu(gradient, output)
        of_beside, *of_skip_norm = skip_norm.backward(gradient, beside)
        of_twice, *of_second_norm = second_norm.backward(gradient, twice)
        del gradient, output, twice, beside
        of_skip = ctx.skip.weight_gradient(of_beside, image, skip_weight.shape[-1])
        of_image = ctx.skip.input_gradient(of_beside, image, skip_weight)
        del of_beside
        of_second = ctx.second.weight_gradient(of_twice, inner, second_weight.shape[-1])
        of_inner = _through_relu(ctx.second.input_gradient(of_twice, inner, second_weight), inner)
        del of_twice, inner
        of_once, *of_first_norm = first_norm.backward(of_inner, once)
        del of_inner, once
        of_first = ctx.first.weight_gradient(of_once, image, first_weight.shape[-1])
        of_image.add_(ctx.first.input_gradient(of_once, image, first_weight))
        of_learnt = (of_first, *of_first_norm, of_second, *of_second_norm, of_skip, *of_skip_norm)
        return of_image, None, None, *of_learnt


def _through_relu(gradient: Image, output: Image) -> Image:
    """The gradient where the ReLU let its input through, in channels last whatever it comes in."""
    return torch.ops.aten.threshold_backward(
        gradient.contiguous(memory_format=torch.channels_last), output, 0
    )
