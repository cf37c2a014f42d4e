"""Spectra around each token, read off sines."""

import math

import pytest
import torch
from torch.nn import functional as F

from ppgssl.models.spectral_path import (
    BREATHING_BAND_HZ,
    BREATHING_FREQUENCIES,
    MEAN_LOG_POWER,
    PULSE_BAND_HZ,
    PULSE_FREQUENCIES,
    SPREAD_LOG_POWER,
    SpectralPath,
)

FS_HZ = 125.0
STRIDE = 32


def sine(hz: float, seconds: float = 60, amplitude: float = 1.0) -> torch.Tensor:
    at_s = torch.arange(round(seconds * FS_HZ)) / FS_HZ
    return (amplitude * torch.sin(2 * math.pi * hz * at_s))[None, None]


def path() -> SpectralPath:
    return SpectralPath(1, STRIDE, FS_HZ, channels=16).eval()


@pytest.mark.parametrize("hz", [0.8, 1.5, 3.0])
def test_the_pulse_shows_at_its_frequency_with_its_power(hz: float):
    spectral = path()

    power = spectral.pulse(F.avg_pool1d(sine(hz, amplitude=0.5), spectral.pool))[0, :, 117]

    frequencies = torch.linspace(*PULSE_BAND_HZ, PULSE_FREQUENCIES)
    assert frequencies[power.argmax()].item() == pytest.approx(hz, abs=0.05)
    log_power = power.max().item() * SPREAD_LOG_POWER + MEAN_LOG_POWER
    assert log_power == pytest.approx(math.log(0.25), abs=0.15)


def test_breathing_shows_in_the_baseline_and_a_varying_amplitude_in_the_deviation():
    spectral = path()
    breath = 16 / 60
    baseline = sine(1.5) + sine(breath)
    amplitude = sine(1.5) * (1 + 0.3 * sine(breath))

    for window, which in ((baseline, 0), (amplitude, 1)):
        series = spectral.measure_baseline(F.pad(window, (0, -window.shape[-1] % STRIDE)))[which]
        power = spectral.breathing(series)[0, :, series.shape[-1] // 2]
        frequencies = torch.linspace(*BREATHING_BAND_HZ, BREATHING_FREQUENCIES)
        assert frequencies[power.argmax()].item() == pytest.approx(breath, abs=0.02)


def test_turning_the_window_upside_down_changes_nothing():
    window = sine(1.2) + 0.3 * sine(2.4) + 0.5 * sine(0.25)
    spectral = path()

    torch.testing.assert_close(spectral(window), spectral(-window), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("samples", [1, 33, 1_250, 7_501])
def test_every_token_gets_one_vector_whatever_the_length(samples: int):
    vectors = path()(torch.randn(2, 1, samples))

    assert vectors.shape == (2, 16, math.ceil(samples / STRIDE))
    assert vectors.isfinite().all()


def test_a_frequency_is_the_same_in_hz_at_another_sampling_rate():
    half = SpectralPath(1, STRIDE, FS_HZ / 2, channels=16)

    power = half.pulse(F.avg_pool1d(sine(1.5)[..., ::2], half.pool))[0, :, 58]

    frequencies = torch.linspace(*PULSE_BAND_HZ, PULSE_FREQUENCIES)
    assert frequencies[power.argmax()].item() == pytest.approx(1.5, abs=0.05)
