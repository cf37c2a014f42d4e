"""How much work a training step is, counted from the layers as they are written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ppgssl.models.autoencoder import Autoencoder
from ppgssl.models.spectral_path import Spectrum
from ppgssl.views import Views

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]

LAYERS_OF_PRODUCTS = (nn.Conv1d, nn.ConvTranspose1d, nn.Linear, Spectrum)


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

    with watched(model, LAYERS_OF_PRODUCTS, count):
        for group in views:
            model(group.inputs)
    return total


def step_bytes(model: Autoencoder, views: list[Views], item_bytes: int) -> int:
    """What a step's layers read and write where everything else is fused into them.

    Layers of products read their input and write their output; backward they read the output's
    gradient and the input, and write the input's gradient where one is needed. Each batch norm
    reads its input once more for the statistics, and input and gradient for the gradient's sums.
    """
    numbers = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal numbers
        given, made = inputs[0].numel(), output.numel()
        if isinstance(layer, nn.BatchNorm1d):
            numbers += 3 * made
        else:
            numbers += 2 * (given + made) + given * inputs[0].requires_grad

    with watched(model, (*LAYERS_OF_PRODUCTS, nn.BatchNorm1d), count):
        for group in views:
            model(group.inputs)
    return numbers * item_bytes


@contextmanager
def watched(model: nn.Module, kinds: tuple[type[nn.Module], ...], count: Hook) -> Iterator[None]:
    """Call `count` after each layer of some kinds; running figures are as before afterwards."""
    layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    yield
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for name, value in model.named_buffers():
            value.copy_(statistics[name])


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
