"""The fused forward pass of a CPU: what the encoder itself computes, to rounding."""

import pytest
import torch
from torch import nn

from ppgssl.config import ModelConfig
from ppgssl.inference.fused_encoder import FusedEncoder, can_fuse, fold
from ppgssl.models.encoder import Encoder

FS_HZ = 125.0
SMALL = {"base_filters": 8, "max_filters": 64, "latent_dim": 64}
ARCHITECTURES = {
    "default": ModelConfig(),
    "small": ModelConfig(**SMALL),
    "without spectra": ModelConfig(**SMALL, spectral_path=False),
    "without context": ModelConfig(**SMALL, context_dilations=()),
    "three channels of input": ModelConfig(**SMALL, in_channels=3),
    "an MLP as head": ModelConfig(**SMALL, head="mlp"),
    "positional": ModelConfig(**SMALL, pooling="positional"),
    "two blocks": ModelConfig(**SMALL, num_blocks=2),
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def trained(config: ModelConfig) -> Encoder:
    """An encoder whose norms have statistics, scales and shifts other than the initial ones."""
    encoder = Encoder(config, 40, FS_HZ)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return encoder.eval()


@pytest.mark.skipif(not can_fuse(torch.device("cpu")), reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize("config", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.parametrize(("windows", "samples"), [(1, 1250), (3, 1283), (2, 7500), (2, 251)])
@torch.inference_mode()
def test_it_computes_what_the_encoder_does(config: ModelConfig, windows: int, samples: int):
    encoder = trained(config)
    x = torch.randn(windows, config.in_channels, samples)

    found, expected = FusedEncoder(encoder).segments(x), encoder.segments(x)

    assert (found - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.skipif(not can_fuse(torch.device("cpu")), reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize("config", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.parametrize(("samples", "stretches"), [(7500, 2), (7507, 3), (251, 2), (33, 4)])
@torch.inference_mode()
def test_stretches_side_by_side_are_the_whole_window(
    config: ModelConfig, samples: int, stretches: int
):
    encoder = FusedEncoder(trained(config))
    x = torch.randn(2, config.in_channels, samples)

    found, expected = encoder.segments(x, stretches), encoder.segments(x)

    assert (found - expected).norm() <= 1e-6 * expected.norm()


@torch.inference_mode()
def test_a_folded_convolution_is_the_convolution_and_its_norm():
    conv, norm = nn.Conv1d(2, 3, 5, bias=False), nn.BatchNorm1d(3)
    norm(torch.randn(8, 3, 50))
    norm.eval()
    x = torch.randn(1, 2, 20)

    weight, bias = fold(conv, norm)

    torch.testing.assert_close(nn.functional.conv1d(x, weight, bias), norm(conv(x)))


def test_other_devices_compute_as_the_encoder_is_written():
    assert not can_fuse(torch.device("cuda"))
