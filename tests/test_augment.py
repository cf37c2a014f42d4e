"""Each augmentation does what its name says, measured on signals whose answer is known."""

import math

import pytest
import torch

from ppgssl.augment import (
    add_baseline_wander,
    add_noise,
    augment,
    estimate_snr_db,
    scale,
    shift,
)
from ppgssl.config import AugmentationConfig

FS_HZ = 125.0
SILENT = {"baseline_wander_prob": 0.0, "noise_prob": 0.0}


def pulse(bpm: float = 72, *, windows: int = 1, samples: int = 2500) -> torch.Tensor:
    t = torch.arange(samples) / FS_HZ
    return torch.sin(2 * math.pi * bpm / 60 * t).expand(windows, 1, -1).clone()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_shift_moves_each_window_by_its_own_number_of_samples():
    ramp = torch.arange(6.0).expand(2, 1, 6)

    shifted = shift(ramp, torch.tensor([2, -1]))

    assert shifted[0, 0].tolist() == [4, 5, 0, 1, 2, 3]
    assert shifted[1, 0].tolist() == [1, 2, 3, 4, 5, 0]


def test_a_gain_scales_each_window():
    scaled = scale(torch.ones(2, 1, 3), torch.tensor([0.5, 2.0]))

    assert scaled[:, 0, 0].tolist() == [0.5, 2.0]


def test_wander_adds_power_at_its_own_frequency_only():
    x = torch.zeros(1, 1, 2500)  # 20 s: 0.2 Hz is bin 4

    wandering = add_baseline_wander(
        x,
        fs_hz=FS_HZ,
        frequency_hz=torch.tensor([0.2]),
        phase=torch.tensor([0.7]),
        amplitude=torch.tensor([0.3]),
    )

    power = torch.fft.rfft(wandering[0, 0]).abs().square()
    assert power[4] / power.sum() == pytest.approx(1, abs=1e-5)
    assert wandering.square().mean().item() == pytest.approx(0.3**2 / 2, rel=1e-3)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 24.0])
def test_the_snr_is_the_snr_asked_for(snr_db: float):
    x = pulse()
    noise = torch.randn(x.shape, generator=generator())

    noisy = add_noise(x, noise, snr_db=torch.tensor([snr_db]))

    measured = 10 * torch.log10(x.var() / (noisy - x).var())
    assert measured.item() == pytest.approx(snr_db, abs=1e-3)


@pytest.mark.parametrize("snr_db", [5.0, 15.0, 25.0])
def test_the_estimated_snr_of_a_pulse_in_white_noise_is_near_the_true_one(snr_db: float):
    x = pulse(samples=12_500)
    noisy = add_noise(x, torch.randn(x.shape, generator=generator()), snr_db=torch.tensor([snr_db]))

    estimate = estimate_snr_db(noisy, fs_hz=FS_HZ)

    # 12 % of white noise at 125 Hz lies in the pulse's band and counts as signal
    assert estimate.item() == pytest.approx(snr_db, abs=1.0)


def test_geometry_moves_input_and_target_alike():
    x = pulse(windows=4)

    windows, targets = augment(
        x, x, AugmentationConfig(**SILENT), fs_hz=FS_HZ, generator=generator()
    )

    torch.testing.assert_close(windows, targets)
    assert not torch.equal(windows, x)


def test_corruption_touches_the_input_only():
    x = pulse(windows=4)
    always = AugmentationConfig(
        temporal_shift_range=0,
        amplitude_scale_range=(1, 1),
        baseline_wander_prob=1,
        noise_prob=1,
    )

    windows, targets = augment(x, x, always, fs_hz=FS_HZ, generator=generator())

    torch.testing.assert_close(targets, x)
    assert ((windows - x).abs().amax(dim=-1) > 0.05).all()


def test_shift_and_gain_stay_in_their_ranges():
    x = torch.zeros(500, 1, 100)
    x[:, :, 50] = 1

    windows, _ = augment(x, x, AugmentationConfig(**SILENT), fs_hz=FS_HZ, generator=generator())

    peak, position = windows[:, 0].max(dim=-1)
    assert 40 <= position.min() < 43
    assert 57 < position.max() <= 60
    assert 0.85 <= peak.min() < 0.87
    assert 1.13 < peak.max() <= 1.15


def test_wander_and_noise_come_as_often_as_their_probabilities_say():
    x = pulse(windows=2000, samples=250)
    still = {"temporal_shift_range": 0, "amplitude_scale_range": (1, 1)}

    wander, _ = augment(
        x, x, AugmentationConfig(**still, noise_prob=0), fs_hz=FS_HZ, generator=generator()
    )
    noise, _ = augment(
        x,
        x,
        AugmentationConfig(**still, baseline_wander_prob=0),
        fs_hz=FS_HZ,
        generator=generator(),
    )

    assert changed_share(wander, x) == pytest.approx(0.6, abs=0.04)
    assert changed_share(noise, x) == pytest.approx(0.4, abs=0.04)


def changed_share(windows: torch.Tensor, originals: torch.Tensor) -> float:
    return ((windows - originals).abs().amax(dim=(1, 2)) > 1e-6).float().mean().item()


def test_added_noise_lies_at_eighty_percent_of_the_window_s_own_snr():
    clean = pulse(samples=12_500)
    own_noise = torch.randn(clean.shape, generator=generator(1))
    x = add_noise(clean, own_noise, snr_db=torch.tensor([20.0]))
    config = AugmentationConfig(
        temporal_shift_range=0, amplitude_scale_range=(1, 1), baseline_wander_prob=0, noise_prob=1
    )

    noisy, _ = augment(x, x, config, fs_hz=FS_HZ, generator=generator(2))

    added_db = 10 * torch.log10(x.var() / (noisy - x).var())
    assert added_db.item() == pytest.approx(0.8 * estimate_snr_db(x, fs_hz=FS_HZ).item(), abs=0.1)


def test_the_same_generator_state_gives_the_same_windows():
    x, config = pulse(windows=8), AugmentationConfig()

    first, _ = augment(x, x, config, fs_hz=FS_HZ, generator=generator(3))
    second, _ = augment(x, x, config, fs_hz=FS_HZ, generator=generator(3))
    other, _ = augment(x, x, config, fs_hz=FS_HZ, generator=generator(4))

    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_augmenting_leaves_its_arguments_as_they_were():
    x = pulse(windows=4)
    before = x.clone()

    augment(x, x, AugmentationConfig(), fs_hz=FS_HZ, generator=generator())

    assert torch.equal(x, before)
