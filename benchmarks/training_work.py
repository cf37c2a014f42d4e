"""How much work a training step is, counted from the layers as they are written."""

import torch
from torch import Tensor, nn

from ppgssl.models.autoencoder import Autoencoder
from ppgssl.models.spectral_path import Spectrum
from ppgssl.views import Views


def step_flops(model: Autoencoder, views: list[Views]) -> int:
    """Forward and backward of a step's layers, a multiply-add is two; losses are not counted.

    A layer's gradients cost as much as its forward pass each, and the gradient of what needs none
    (samples, spectra) is none.
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        forward = 2 * multiply_adds(layer, inputs[0], output)
        learns = any(weight.requires_grad for weight in layer.parameters())
        total += forward * (1 + learns + inputs[0].requires_grad)

    hooks = [
        layer.register_forward_hook(count)
        for layer in model.modules()
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d | nn.Linear | Spectrum)
    ]
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    for group in views:
        model(group.inputs)
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for name, value in model.named_buffers():
            value.copy_(statistics[name])
    return total


def multiply_adds(layer: nn.Module, given: Tensor, output: Tensor) -> int:
    """Of one forward pass of one layer."""
    if isinstance(layer, Spectrum):
        return layer.taps * 2 * output.numel()
    assert isinstance(layer.weight, Tensor)
    if isinstance(layer, nn.ConvTranspose1d):
        return given.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Linear):
        return output.numel() * layer.in_features
    return output.numel() * layer.weight[0].numel()
