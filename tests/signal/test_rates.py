"""The spectral heart rate on pulses made by hand."""

import numpy as np
import pytest

from ppgssl.signal.rates import heart_rate_bpm

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
