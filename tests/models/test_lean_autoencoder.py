"""What training computes on a CPU is what the layers as written compute, gradients included."""

import copy

import pytest
import torch
from torch import Tensor, nn

from ppgssl.config import load_config
from ppgssl.models import image_convolution
from ppgssl.models.autoencoder import Autoencoder, Reconstruction, build_autoencoder
from ppgssl.models.image_convolution import Convolution
from ppgssl.models.lean_autoencoder import can_reconstruct, reconstruct

SMALL = ("model.base_filters=8", "model.max_filters=32", "model.latent_dim=24")
IN_FLOAT64 = ("model.spectral_path=false", "model.head=mlp")  # without what is always float32
SHAPES = {
    "segments": (),
    "one segment": ("model.segment_seconds=null",),
    "positional": ("model.pooling=positional", "model.pose_channels=0"),
    "trunk only": ("model.context_dilations=[]",),
    "dilated": ("model.context_dilations=[2,3]",),
}


def written_and_lean(*overrides: str) -> tuple[Autoencoder, Autoencoder]:
    torch.manual_seed(0)
    config = load_config("ssl_pretraining", [*SMALL, "data.window_seconds=40", *overrides])
    model = build_autoencoder(config).train()
    return model, copy.deepcopy(model)


def backward(code: Reconstruction) -> None:
    """From a loss in which every number of every result counts, each differently."""
    generator = torch.Generator().manual_seed(1)
    losses = [(x * torch.randn(x.shape, generator=generator)).mean() for x in code]
    torch.stack(losses).sum().backward()


@pytest.fixture(params=[0, image_convolution.FEWEST_NUMBERS], ids=["large", "small"])
def whatever_counts_as_small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_convolution, "FEWEST_NUMBERS", request.param)


@pytest.mark.usefixtures("whatever_counts_as_small")
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("overrides", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("num_samples", [5_000, 4_837])
def test_results_gradients_and_running_figures_are_those_of_the_layers(
    overrides: tuple[str, ...], keep: bool, num_samples: int
):
    written, lean = (model.double() for model in written_and_lean(*IN_FLOAT64, *overrides))
    torch.manual_seed(0)
    windows = torch.randn(3, 1, num_samples, dtype=torch.float64)

    expected, got = written(windows), reconstruct(lean, windows, keep=keep)
    backward(expected)
    backward(got)

    torch.testing.assert_close(got, expected)
    for (name, one), other in zip(written.named_parameters(), lean.parameters(), strict=True):
        assert distance(other.grad, one.grad) < 1e-9, name
    torch.testing.assert_close(dict(lean.named_buffers()), dict(written.named_buffers()))


def test_with_spectra_too_as_far_as_float32_goes():
    written, lean = written_and_lean()
    windows = torch.randn(3, 1, 5_000)

    expected, got = written(windows), reconstruct(lean, windows)
    backward(expected)
    backward(got)

    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)
    for (name, one), other in zip(written.named_parameters(), lean.parameters(), strict=True):
        assert distance(other.grad, one.grad) < 1e-2, name  # a ReLU at its edge goes either way


def distance(got: Tensor | None, expected: Tensor | None) -> float:
    """Of two gradients, as a share of the second's length; both have to be there."""
    assert got is not None
    assert expected is not None
    return float((got - expected).norm() / expected.norm().clamp_min(1e-12))


@pytest.mark.usefixtures("whatever_counts_as_small")
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(1, 5, 7, stride=2, padding=3, bias=False),
        nn.Conv1d(9, 4, 3, stride=2, padding=1, bias=False),
        nn.Conv1d(9, 4, 3, padding=1, bias=False),
        nn.Conv1d(9, 4, 1, stride=2, bias=False),
        nn.ConvTranspose1d(4, 9, 3, stride=2, padding=1, output_padding=1, bias=False),
        nn.ConvTranspose1d(4, 9, 1, stride=2, output_padding=1, bias=False),
        nn.ConvTranspose1d(4, 1, 7, stride=2, padding=3, output_padding=1, bias=False),
    ],
)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 16, 17])
def test_gradients_of_a_convolution_are_those_that_autograd_finds(layer: nn.Module, length: int):
    assert isinstance(layer, nn.Conv1d | nn.ConvTranspose1d)
    windows = torch.randn(2, layer.in_channels, length, dtype=torch.float64, requires_grad=True)
    weight = layer.weight.detach().double().requires_grad_()
    output = torch.func.functional_call(layer, {"weight": weight}, (windows,))
    gradient = torch.randn_like(output)
    expected = torch.autograd.grad(output, (windows, weight), gradient)
    convolution = Convolution.of(layer)
    image, learnt = windows.detach()[:, :, None], weight.detach()

    torch.testing.assert_close(convolution(image, learnt, None)[:, :, 0], output.detach())
    of_image = convolution.input_gradient(gradient[:, :, None], image, learnt)
    of_weight = convolution.weight_gradient(gradient[:, :, None], image, learnt.shape[-1])
    torch.testing.assert_close((of_image[:, :, 0], of_weight), expected)


def test_without_keeping_a_backward_pass_holds_less():
    def held(*, keep: bool) -> int:
        _, lean = written_and_lean()
        saved: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            saved[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            code = reconstruct(lean, torch.randn(3, 1, 5_000), keep=keep)
        backward(code)
        return sum(saved.values())

    assert held(keep=False) < 0.6 * held(keep=True)


def test_only_training_in_float32_is_computed_so():
    _, lean = written_and_lean()
    windows = torch.randn(2, 1, 5_000)

    assert can_reconstruct(lean, windows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not can_reconstruct(lean, windows)
    assert not can_reconstruct(copy.deepcopy(lean).eval(), windows)
    nn.SyncBatchNorm.convert_sync_batchnorm(lean)
    assert not can_reconstruct(lean, windows)
