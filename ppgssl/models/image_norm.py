"""Batch norm of images in its three parts: what a batch measures, its use, its gradient."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ppgssl.models.image_convolution import Image

PerChannel = Float[Tensor, " _"]


class Norm(NamedTuple):
    """What a batch is normalised by, and how it is scaled after."""

    weight: PerChannel
    bias: PerChannel
    mean: PerChannel
    variance: PerChannel
    eps: float

    def __call__(self, image: Image) -> Image:
        """Normalise and scale."""
        return torch.native_batch_norm(
            image, self.weight, self.bias, self.mean, self.variance, False, 0.0, self.eps
        )[0]

    def backward(self, gradient: Image, image: Image) -> tuple[Image, PerChannel, PerChannel]:
        """Gradients by the image, the weight and the bias."""
        inverse = (self.variance + self.eps).rsqrt()
        return torch.ops.aten.native_batch_norm_backward(
            gradient,
            image,
            self.weight,
            None,
            None,
            self.mean,
            inverse,
            True,
            self.eps,
            [True, True, True],
        )


def measure(norm: nn.Module, image: Image, weight: PerChannel, bias: PerChannel) -> Norm:
    """Mean and variance of a training batch, counted into the layer's running figures."""
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    mean, variance = torch.batch_norm_update_stats(
        image, norm.running_mean, norm.running_var, norm.momentum
    )
    return Norm(weight, bias, mean, variance, norm.eps)
