"""Each augmentation does what its name says, measured on signals whose answer is known."""

import math

import pytest
import torch

from ppgssl.augment import (
    add_baseline_wander,
    add_drift,
    add_noise,
    band_limited,
    breathe,
    estimate_snr_db,
    hold,
    low_pass,
    sample_at,
    scale,
    shift,
    stretch,
)
from ppgssl.signal.rates import heart_rate_bpm

FS_HZ = 125.0


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


def test_a_window_played_faster_has_its_pulse_at_the_higher_rate():
    x = pulse(60, windows=2)

    played = stretch(x, torch.tensor([1.0, 1.5]))

    assert heart_rate_bpm(played[:, 0].numpy(), FS_HZ).tolist() == pytest.approx([60, 90], abs=1)


def test_a_sample_between_two_lies_on_the_line_between_them():
    ramp = torch.tensor([[[0.0, 10.0, 20.0]]])

    between = sample_at(ramp, torch.tensor([[0.25, 1.5, 2.0]]))

    assert between[0, 0].tolist() == [2.5, 15.0, 20.0]


def test_a_low_pass_removes_what_is_above_each_window_s_cutoff():
    x = pulse(60, windows=2) + pulse(60 * 20, windows=2)  # 1 Hz and 20 Hz

    kept = low_pass(x, torch.tensor([10.0, 30.0]), fs_hz=FS_HZ)

    torch.testing.assert_close(kept[:1], pulse(60), atol=1e-3, rtol=0)
    torch.testing.assert_close(kept[1:], x[1:], atol=1e-3, rtol=0)


def test_noise_of_motion_has_unit_deviation_and_nothing_outside_the_band():
    motion = band_limited(torch.randn(1, 1, 12_500, generator=generator()), fs_hz=FS_HZ)

    power = torch.fft.rfft(motion[0, 0]).abs().square()
    frequency = torch.fft.rfftfreq(12_500, 1 / FS_HZ)
    outside = (frequency < 0.29) | (frequency > 5.01)
    assert motion.std().item() == pytest.approx(1, abs=1e-3)
    assert (power[outside].sum() / power.sum()).item() < 1e-6


def test_a_dropout_holds_the_sample_at_which_it_starts():
    ramp = torch.arange(6.0).expand(2, 1, 6)

    held = hold(ramp, torch.tensor([2, 4]), torch.tensor([3, 0]))

    assert held[0, 0].tolist() == [0, 1, 2, 2, 2, 5]
    assert held[1, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_drift_falls_with_the_frequency_and_has_the_amplitude_asked_for():
    noise = torch.randn(64, 1, 7500, generator=torch.Generator().manual_seed(0))
    steepness, amplitude = torch.ones(64), torch.full((64,), 0.5)

    drift = add_drift(
        torch.zeros_like(noise), noise, fs_hz=125.0, steepness=steepness, amplitude=amplitude
    )

    assert drift.std(-1).flatten().tolist() == pytest.approx([0.5] * 64, rel=1e-3)
    power = torch.fft.rfft(drift).abs().square().mean((0, 1))  # a bin is 1 / 60 Hz
    assert (power[6] / power[60]).item() == pytest.approx(100, rel=0.5)
    assert power[95:].max() < 1e-6 * power[6]


def test_imposed_breathing_modulates_the_amplitude_at_its_own_rate():
    x = pulse(75, samples=7500)

    modulated, breath = breathe(
        x,
        fs_hz=FS_HZ,
        rate_bpm=torch.tensor([15.0]),
        phase=torch.tensor([0.0]),
        rate_change=torch.tensor([0.0]),
        amplitude_change=torch.tensor([0.3]),
    )

    torch.testing.assert_close(modulated, x * (1 + 0.3 * breath), atol=1e-3, rtol=0)
    assert torch.fft.rfft(breath[0, 0]).abs().argmax().item() == 15  # 15 breaths in a minute


def test_imposed_breathing_moves_the_beats_earlier_and_later():
    x = pulse(75, samples=7500)

    modulated, _ = breathe(
        x,
        fs_hz=FS_HZ,
        rate_bpm=torch.tensor([15.0]),
        phase=torch.tensor([0.0]),
        rate_change=torch.tensor([0.1]),
        amplitude_change=torch.tensor([0.0]),
    )

    spectrum = torch.fft.rfft(modulated[0, 0]).abs()
    assert spectrum[75 - 15] > 0.1 * spectrum[75]  # sidebands at the breathing rate
    assert spectrum[75 - 8] < 0.01 * spectrum[75]
