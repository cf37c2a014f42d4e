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
    PULSE_RATES_BPM,
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
        series = spectral.slow_series(F.pad(window, (0, -window.shape[-1] % STRIDE)))[:, [which]]
        power = spectral.breathing(series)[0, :, series.shape[-1] // 2]
        frequencies = torch.linspace(*BREATHING_BAND_HZ, BREATHING_FREQUENCIES)
        assert frequencies[power.argmax()].item() == pytest.approx(breath, abs=0.02)


def test_breathing_shows_in_the_crests_where_only_they_move():
    breath = 16 / 60
    window = sine(1.5).clamp_min(0) * (1 + 0.5 * sine(breath))
    spectral = path()

    series = spectral.slow_series(F.pad(window, (0, -window.shape[-1] % STRIDE)))[:, [2, 3]]
    crests, troughs = spectral.breathing(series)[0, :, 117].split(BREATHING_FREQUENCIES)

    frequencies = torch.linspace(*BREATHING_BAND_HZ, BREATHING_FREQUENCIES)
    assert frequencies[crests.argmax()].item() == pytest.approx(breath, abs=0.02)
    assert crests.max() > troughs.max() + 1


@pytest.mark.parametrize("hz", [0.8, 1.5, 2.5])
def test_an_untrained_path_names_the_rate_of_a_pulse_with_harmonics(hz: float):
    spectral = path()
    window = sine(hz) + 0.7 * sine(2 * hz) + 0.3 * sine(3 * hz)

    chances = spectral.pulse_rate(spectral.pulse(F.avg_pool1d(window, spectral.pool)))[0, :-2, 117]

    rates_bpm = torch.linspace(*PULSE_RATES_BPM)
    assert rates_bpm[chances.argmax()].item() == pytest.approx(60 * hz, abs=2)


def test_upside_down_crests_and_troughs_change_places_and_nothing_else_changes():
    window = F.pad(sine(1.2) + 0.3 * sine(2.4) + 0.5 * sine(0.25), (0, 20))
    spectral = path()

    upright, upside_down = (spectral.slow_series(x) for x in (window, -window))
    torch.testing.assert_close(upright[:, [0, 2, 3]], -upside_down[:, [0, 3, 2]])
    torch.testing.assert_close(upright[:, 1], upside_down[:, 1], rtol=1e-3, atol=1e-3)
    pulses = [spectral.pulse(F.avg_pool1d(x, spectral.pool)) for x in (window, -window)]
    torch.testing.assert_close(*pulses, rtol=1e-3, atol=1e-3)


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
