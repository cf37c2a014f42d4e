"""Heart rates by three classical ways, on pulses made by hand or simulated."""

import numpy as np
import pytest

from ppgssl.signal.rates import autocorrelation_rate_bpm, beat_rate_bpm, heart_rate_bpm
from ppgssl.signal.simulate import simulate_recording

FS_HZ = 125.0


def pulses(bpm: float, seconds: float, second_harmonic: float = 0.4) -> np.ndarray:
    angle = 2 * np.pi * bpm / 60 * np.arange(round(seconds * FS_HZ)) / FS_HZ
    return np.sin(angle) + second_harmonic * np.sin(2 * angle)


@pytest.mark.parametrize("bpm", [40, 72, 120, 200])
@pytest.mark.parametrize("seconds", [10, 15, 60])
def test_the_rate_of_regular_pulses_is_found_at_any_length(bpm: float, seconds: float):
    assert heart_rate_bpm(pulses(bpm, seconds), FS_HZ) == pytest.approx(bpm, abs=1)


def test_a_second_harmonic_stronger_than_the_first_is_not_taken_for_the_rate():
    assert heart_rate_bpm(pulses(60, 10, second_harmonic=1.2), FS_HZ) == pytest.approx(60, abs=1)


def test_each_window_has_the_rate_that_it_has_alone():
    windows = np.stack([[pulses(50, 30), pulses(80, 30)], [pulses(110, 30), pulses(140, 30)]])

    np.testing.assert_allclose(heart_rate_bpm(windows, FS_HZ), [[50, 80], [110, 140]], atol=1)


def test_a_rate_that_drifts_has_its_mean():
    rate_bpm = np.linspace(60, 90, round(300 * FS_HZ))
    angle = 2 * np.pi * np.cumsum(rate_bpm / 60) / FS_HZ

    assert heart_rate_bpm(np.sin(angle), FS_HZ) == pytest.approx(75, abs=1)


def test_a_stretch_of_motion_does_not_move_the_rate_of_a_minute():
    x = pulses(72, 60)
    x[1250:2500] += 20 * pulses(180, 10)

    assert heart_rate_bpm(x, FS_HZ) == pytest.approx(72, abs=1)


@pytest.mark.parametrize("estimate", [autocorrelation_rate_bpm, beat_rate_bpm])
@pytest.mark.parametrize("bpm", [45, 72, 110, 150, 190])
def test_autocorrelation_and_beats_find_the_rate_of_regular_pulses(estimate, bpm: float):
    windows = np.stack([pulses(bpm, 10), 5000 - 300 * pulses(bpm, 10)])

    np.testing.assert_allclose(estimate(windows, FS_HZ), bpm, atol=1)


@pytest.mark.parametrize("estimate", [autocorrelation_rate_bpm, beat_rate_bpm])
@pytest.mark.parametrize("seconds", [10, 60])
def test_a_simulated_pulse_of_72_has_72(estimate, seconds: float):
    recording = simulate_recording(
        3, minutes=seconds / 60, heart_rate_bpm=72, rhythm="sinus", snr_db=20, artefacts_per_hour=0
    )

    rates = estimate(recording.signal[None], recording.fs_hz)

    assert rates.item() == pytest.approx(recording.hr_bpm.mean(), abs=1)
    assert rates.item() == pytest.approx(72, abs=2.5)


def test_the_autocorrelation_is_not_misled_by_a_second_harmonic_stronger_than_the_first():
    rates = autocorrelation_rate_bpm(pulses(60, 10, second_harmonic=1.2)[None], FS_HZ)

    assert rates.item() == pytest.approx(60, abs=1)


def test_the_beat_rate_leaves_out_the_interval_of_a_missed_beat():
    seconds = np.arange(1250) / FS_HZ
    crests = np.arange(0.4, 10, 0.8)
    crests = np.delete(crests, 6)
    bumps = np.exp(-0.5 * ((seconds - crests[:, None]) / 0.08) ** 2).sum(axis=0)

    assert beat_rate_bpm(bumps[None], FS_HZ).item() == pytest.approx(75, abs=1)


@pytest.mark.parametrize("estimate", [autocorrelation_rate_bpm, beat_rate_bpm])
@pytest.mark.parametrize("seconds", [2, 10])
def test_windows_without_a_pulse_have_a_rate_within_reach_all_the_same(estimate, seconds: int):
    samples = round(seconds * FS_HZ)
    noise = np.random.default_rng(0).normal(size=(20, samples))
    windows = np.concatenate([noise, np.zeros((1, samples)), np.linspace(0, 1, samples)[None]])

    rates = estimate(windows, FS_HZ)

    assert rates.shape == (22,)
    assert ((rates >= 30) & (rates <= 210)).all()
