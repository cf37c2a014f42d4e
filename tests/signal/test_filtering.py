"""Resampling, filters and denoising on sines and on pulses whose answer is known."""

import numpy as np
import pytest

from ppgssl.signal.denoise import denoise
from ppgssl.signal.filters import band_pass
from ppgssl.signal.rates import heart_rate_bpm
from ppgssl.signal.resample import resample
from ppgssl.signal.simulate import simulate_recording


def sine(frequency_hz: float, fs_hz: float, seconds: float = 20.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * fs_hz)) / fs_hz)


def middle(x: np.ndarray) -> np.ndarray:
    """Without the tenths at both ends, where filters settle."""
    return x[len(x) // 10 : -len(x) // 10]


@pytest.mark.parametrize(("fs_in_hz", "fs_out_hz"), [(250, 125), (64, 125), (125, 50), (100, 125)])
def test_a_slow_sine_is_the_same_sine_at_the_other_rate(fs_in_hz: float, fs_out_hz: float):
    resampled = resample(sine(1.3, fs_in_hz), fs_in_hz, fs_out_hz)

    expected = sine(1.3, fs_out_hz)
    assert len(resampled) == len(expected)
    np.testing.assert_allclose(middle(resampled), middle(expected), atol=5e-3)


@pytest.mark.parametrize("fs_in_hz", [499.907, 124.945, 62.4725, 64.0003])
def test_an_odd_rate_does_not_drift_away_from_its_times(fs_in_hz: float):
    seconds = 600

    resampled = resample(sine(1.3, fs_in_hz, seconds), fs_in_hz, 125)

    times_s = np.arange(len(resampled)) / 125
    last = slice(-20 * 125, -10 * 125)  # 0.01 s late would be 0.08 off
    expected = np.sin(2 * np.pi * 1.3 * times_s[last])
    np.testing.assert_allclose(resampled[last], expected, atol=0.01)
    assert len(resampled) == pytest.approx(seconds * 125, abs=2)


def test_what_the_new_rate_cannot_hold_is_taken_away_and_not_folded_back():
    resampled = resample(sine(100, 250), 250, 125)  # would appear at 25 Hz

    assert np.abs(middle(resampled)).max() < 0.01


def test_equal_rates_give_the_array_itself():
    x = sine(1, 125)

    assert resample(x, 125, 125.0) is x


def test_a_large_offset_does_not_ring_at_the_edges():
    resampled = resample(np.full(1000, 2000.0), 250, 125)

    np.testing.assert_allclose(resampled, 2000.0, rtol=1e-9)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_kind_of_number_is_kept_and_rows_do_not_mix(kind):
    rows = np.stack([sine(1, 250), sine(2, 250)]).astype(kind)

    resampled = resample(rows, 250, 125)

    assert resampled.dtype == kind
    np.testing.assert_allclose(resampled[1], resample(rows[1], 250, 125), atol=1e-6)


def test_a_rate_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="must be positive, got 0 Hz"):
        resample(np.zeros(10), 0, 125)


@pytest.mark.parametrize(
    ("frequency_hz", "low", "high"),
    [(0.1, 0.0, 0.01), (0.5, 0.4, 0.6), (2.0, 0.99, 1.01), (8.0, 0.4, 0.6), (20.0, 0.0, 0.01)],
)
def test_the_band_pass_keeps_the_band_halves_its_edges_and_stops_the_rest(frequency_hz, low, high):
    filtered = band_pass(sine(frequency_hz, 125, seconds=60), 125, (0.5, 8.0))

    assert low <= np.abs(middle(filtered)).max() <= high


def test_the_band_pass_leaves_beats_where_they_were():
    filtered = band_pass(sine(2, 125), 125, (0.5, 8.0))

    lag = np.argmax(np.correlate(middle(filtered), middle(sine(2, 125)), "full"))
    assert lag == len(middle(filtered)) - 1


def test_a_band_above_half_the_rate_is_refused():
    with pytest.raises(ValueError, match="low below 10 Hz"):
        band_pass(np.zeros(100), 20, (12, 15))


def test_denoising_raises_the_snr_of_a_noisy_pulse():
    clean = band_pass(sine(1.2, 125) + 0.4 * sine(2.4, 125), 125, (0.5, 8.0))
    noise = np.random.default_rng(0).normal(0, 0.5, len(clean))

    denoised = denoise(clean + noise, 125)

    before = (clean**2).sum() / (noise**2).sum()
    after = (clean**2).sum() / ((denoised - clean) ** 2).sum()
    assert 10 * np.log10(after / before) > 5


def test_denoising_keeps_a_clean_pulse_and_takes_its_baseline():
    pulse, baseline = sine(1.2, 125), 3 + sine(0.1, 125)

    denoised = denoise(pulse + baseline, 125)

    np.testing.assert_allclose(middle(denoised), middle(pulse), atol=0.05)


@pytest.mark.parametrize("samples", [8, 40, 1250])
def test_short_signals_are_denoised_at_the_depth_they_allow(samples: int):
    denoised = denoise(np.random.default_rng(0).normal(size=(3, samples)), 125)

    assert denoised.shape == (3, samples)
    assert np.isfinite(denoised).all()


@pytest.mark.parametrize("fs_hz", [64, 100, 250])
def test_a_pulse_of_72_bpm_still_has_72_bpm_after_resampling_and_denoising(fs_hz: float):
    simulated = simulate_recording(0, minutes=10, fs_hz=fs_hz, heart_rate_bpm=72, rhythm="sinus")

    processed = denoise(resample(simulated.signal, fs_hz, 125), 125)

    assert heart_rate_bpm(processed, 125) == pytest.approx(72, abs=1)
