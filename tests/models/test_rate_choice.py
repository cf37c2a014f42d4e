"""Rates named by the peaks of a spectrum."""

import pytest
import torch

from ppgssl.models.rate_choice import RateChoice, harmonic_comb

HZ = torch.linspace(0.5, 8.0, 151)  # 0.05 Hz apart


def choice(spectra: int = 1) -> RateChoice:
    return RateChoice(
        HZ.repeat(spectra), (30.0, 150.0, 41), harmonics=(1.0, 0.5), sharpness=2.0
    ).eval()


def peak_at(hz: float) -> torch.Tensor:
    return 6 * torch.exp(-(((HZ - hz) / 0.1) ** 2))


def test_a_comb_weighs_the_harmonics_between_neighbouring_frequencies():
    comb = harmonic_comb(HZ, torch.tensor([1.0, 1.025]), (1.0, 0.5))

    assert comb[0, 10].item() == pytest.approx(1, abs=1e-4)  # 1.0 Hz
    assert comb[0, 30].item() == pytest.approx(0.5, abs=1e-4)  # 2.0 Hz
    assert comb[1, [10, 11]].tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
    assert comb.sum(1).tolist() == pytest.approx([1.5, 1.5], abs=1e-3)


def test_the_rate_at_the_peak_is_chosen_and_a_flat_spectrum_leaves_it_open():
    chosen, unsure = choice()(torch.stack([peak_at(1.5), torch.zeros(151)], dim=1)[None])[0].T

    rates_bpm = torch.linspace(30, 150, 41)
    assert rates_bpm[chosen[:-2].argmax()].item() == 90
    assert chosen[-1] < 1 < unsure[-1]
    assert chosen[-2].item() == pytest.approx(4 * 0, abs=0.2)  # 90 is the middle of 30 to 150


def test_a_peak_that_two_spectra_share_is_surer():
    one, both = (
        choice(spectra=2)(torch.cat([peak_at(1.0), other])[None, :, None])[0, -1]
        for other in (torch.zeros(151), peak_at(1.0))
    )

    assert both < one
