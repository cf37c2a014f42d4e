"""Faults and quality of stretches made by hand."""

import numpy as np
import pytest

from ppgssl.signal.quality import fill_gaps, find_fault, signal_quality

FS_HZ = 125.0
NAN = np.nan


def pulses(bpm: float = 72, seconds: float = 10.0) -> np.ndarray:
    angle = 2 * np.pi * bpm / 60 * np.arange(round(seconds * FS_HZ)) / FS_HZ
    return np.sin(angle) + 0.4 * np.sin(2 * angle)


def noise(seconds: float = 10.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=round(seconds * FS_HZ))


def test_pulses_have_no_fault_in_any_unit():
    for x in (pulses(), 1e-6 * pulses(), 2000 + 0.5 * pulses()):
        assert find_fault(x, FS_HZ) is None


@pytest.mark.parametrize(
    ("x", "fault"),
    [
        (np.zeros(1250), "flat"),
        (np.full(1250, 3.3), "flat"),
        (np.where(np.arange(1250) < 500, 0.2, pulses()), "flat"),
        (np.where(np.arange(1250) == 7, NAN, pulses()), "missing"),
        (np.where(np.arange(1250) == 7, np.inf, pulses()), "missing"),
        (np.clip(pulses(), -0.6, 0.6), "saturated"),
        (np.minimum(pulses(), 0.5), "saturated"),
    ],
)
def test_each_fault_has_its_name(x: np.ndarray, fault: str):
    assert find_fault(x, FS_HZ) == fault


def test_flat_lines_are_added_up_over_a_window():
    lost_contact = np.concatenate([pulses(), np.zeros(625)] * 4)  # 5 of every 15 seconds

    assert find_fault(lost_contact, FS_HZ) == "flat"


def test_coarse_steps_and_a_short_plateau_are_no_fault():
    assert find_fault(np.round(20 * pulses()) / 20, FS_HZ) is None
    assert find_fault(np.where(np.arange(1250) < 100, 0.1, pulses()), FS_HZ) is None


def test_a_short_gap_is_filled_along_a_line_and_a_long_one_stays():
    x = np.array([0, NAN, NAN, 3, NAN, NAN, NAN, NAN, 8.0])

    filled = fill_gaps(x, fs_hz=2.0, max_gap_s=1.5)

    np.testing.assert_array_equal(filled, [0, 1, 2, 3, NAN, NAN, NAN, NAN, 8])
    assert np.isnan(x[1])


def test_gaps_at_the_ends_stay():
    x = np.array([NAN, 1, 2, NAN])

    np.testing.assert_array_equal(fill_gaps(x, fs_hz=1.0, max_gap_s=10), x)


@pytest.mark.parametrize("bpm", [40, 72, 120, 190])
@pytest.mark.parametrize("seconds", [5, 10, 60])
def test_clean_pulses_score_near_one_at_any_rate_and_length(bpm: float, seconds: float):
    assert signal_quality(pulses(bpm, seconds), FS_HZ) > 0.9


@pytest.mark.parametrize("seconds", [5, 10, 60])
def test_noise_scores_near_zero(seconds: float):
    assert signal_quality(noise(seconds), FS_HZ) < 0.15


def test_a_window_too_short_for_two_beats_scores_zero():
    np.testing.assert_array_equal(signal_quality(np.ones((3, 1)) * pulses(seconds=0.4), FS_HZ), 0)


def test_quality_falls_with_noise_and_ignores_gain_and_offset():
    scores = [float(signal_quality(pulses() + a * noise(), FS_HZ)) for a in (0, 0.5, 1, 2, 4)]

    assert scores == sorted(scores, reverse=True)
    assert signal_quality(700 + 40 * pulses(), FS_HZ) == pytest.approx(scores[0], abs=1e-3)


def test_each_window_has_its_own_score_and_half_noise_scores_between():
    half = np.concatenate([pulses(), noise()])
    windows = np.stack([pulses(seconds=20), noise(20), half])

    clean, bad, mixed = signal_quality(windows, FS_HZ)

    assert clean > 0.9
    assert bad < 0.15
    assert mixed == pytest.approx((clean + bad) / 2, abs=0.1)
