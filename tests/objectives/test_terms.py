"""Each term is small where its answer is right, and large where it is wrong."""

import math

import pytest
import torch

from ppgssl.objectives.decorrelation import decorrelation
from ppgssl.objectives.nearby import contrast
from ppgssl.objectives.spectrum import BAND_HZ, BANDS, FLOOR, log_spectrum

FS_HZ = 125.0


def test_a_sine_has_its_power_in_the_band_that_holds_its_frequency():
    at = torch.arange(2500) / FS_HZ

    bands = log_spectrum(torch.sin(2 * math.pi * 3.05 * at)[None], FS_HZ)[0]

    width = (BAND_HZ[1] - BAND_HZ[0]) / BANDS
    assert bands.argmax().item() == int((3.05 - BAND_HZ[0]) / width)


def test_short_segments_leave_no_band_empty():
    noise = torch.randn(8, 250, generator=torch.Generator().manual_seed(0))

    bands = log_spectrum(noise, FS_HZ)

    assert bands.shape == (8, BANDS)
    assert bands.min() > math.log(FLOOR) + 1e-3


def test_contrast_is_zero_for_tight_far_groups_and_log_of_the_others_for_equal_views():
    origin = torch.tensor([0, 0, 1, 1])
    grouped = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [-1, 0]])

    assert contrast(grouped, origin, temperature=0.1).item() == pytest.approx(0, abs=1e-6)
    assert contrast(torch.ones(4, 2), origin, temperature=0.1).item() == pytest.approx(math.log(3))


def test_contrast_without_a_positive_is_zero():
    alone = contrast(torch.eye(3), torch.arange(3), temperature=0.1)

    assert alone.item() == 0


def test_contrast_agrees_with_cross_entropy_where_every_view_has_one_positive():
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    unit = torch.nn.functional.normalize(z, dim=1)
    logits = (unit @ unit.T / 0.2).masked_fill(torch.eye(6, dtype=torch.bool), -torch.inf)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0, 3, 2, 5, 4]))

    found = contrast(z, torch.tensor([0, 0, 1, 1, 2, 2]), temperature=0.2)

    torch.testing.assert_close(found, expected)


def test_independent_unit_dimensions_cost_almost_nothing_and_copies_cost_most():
    independent = torch.linalg.qr(torch.randn(512, 8, generator=torch.Generator().manual_seed(0)))
    spread = independent.Q * math.sqrt(512)
    copies = spread[:, :1].expand(-1, 8)

    assert decorrelation(spread).item() < 0.1
    assert decorrelation(copies).item() == pytest.approx(0.1 * 7, abs=0.05)


def test_dimensions_that_hardly_vary_cost_their_shortfall():
    assert decorrelation(torch.zeros(16, 8)).item() == pytest.approx(5 * 0.99, abs=0.01)
