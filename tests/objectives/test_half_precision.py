"""Under autocast, with which a GPU trains unless told otherwise, terms are those of float32."""

import math

import pytest
import torch

from ppgssl.config import load_config
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.models.encoder import standardise
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.objectives.pulses import measure_pulses
from ppgssl.objectives.rates import BREATHING, PULSE, read_rate
from ppgssl.views import make_views

FS_HZ = 125.0
HALVES = pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])


def minutes_without_breath(count: int) -> torch.Tensor:
    """Windows (B, T) of a minute of pulse in noise, each at another heart rate."""
    at_s = torch.arange(7500) / FS_HZ
    angle = 2 * math.pi * (1 + 0.2 * torch.arange(count)[:, None]) * at_s
    noise = torch.randn(count, 7500, generator=torch.Generator().manual_seed(0))
    return standardise(torch.sin(angle) + 0.4 * torch.sin(2 * angle + 1) + 0.3 * noise)


def halved(half: torch.dtype | None) -> torch.autocast:
    return torch.autocast("cpu", dtype=half, enabled=half is not None)


@HALVES
def test_every_term_of_the_default_recipe_is_near_its_own_in_float32(half: torch.dtype):
    size = ["model.base_filters=8", "model.max_filters=32"]
    width = ["model.latent_dim=32", "model.bottleneck_dim=48"]
    as_recorded = "augmentation.breathing_prob=0"  # what is imposed needs not be measured
    config = load_config("ssl_pretraining", [*size, *width, as_recorded])
    torch.manual_seed(0)
    objective = PretrainingObjective(build_autoencoder(config), config, keep_activations=True)
    windows = minutes_without_breath(4)[:, None]
    whole, pieces = make_views(
        windows,
        windows,
        config.augmentation,
        fs_hz=FS_HZ,
        generator=torch.Generator().manual_seed(0),
    )

    for views in (whole, pieces):
        with torch.no_grad():
            expected = objective(views).detached()
            with halved(half):
                found = objective(views).detached()

        assert {name: value.item() for name, value in found.items()} == pytest.approx(
            {name: value.item() for name, value in expected.items()}, rel=0.05
        )


@HALVES
def test_pulses_are_measured_in_float32(half: torch.dtype):
    windows = minutes_without_breath(3)

    def measured(precision: torch.dtype | None) -> list[torch.Tensor]:
        with halved(precision):
            pulses = measure_pulses(windows, windows, FS_HZ, segment_samples=1250, token_samples=64)
        return [pulses.rate_bpm, pulses.local_bpm, pulses.breathing_bpm, pulses.breathing_trust]

    for found, expected in zip(measured(half), measured(None), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@HALVES
def test_a_rate_is_read_in_float32(half: torch.dtype):
    vectors = torch.randn(5, 512, generator=torch.Generator().manual_seed(0))

    for scale in (PULSE, BREATHING):
        with halved(half):
            found = read_rate(vectors, scale)
        torch.testing.assert_close(found, read_rate(vectors, scale), rtol=0, atol=0)
