"""Respiration rates of pulses that breathing modulates in known ways."""

import numpy as np
import pytest

from ppgssl.signal.breathing import respiration_rate_bpm
from ppgssl.signal.simulate import simulate_recording

FS_HZ = 125.0


def breathing_pulse(
    breaths: float, *, baseline: float = 0.0, amplitude: float = 0.0, rate: float = 0.0
) -> np.ndarray:
    """A minute of a pulse at 72 bpm whose baseline, amplitude or rate swings with breathing."""
    at = np.arange(round(60 * FS_HZ)) / FS_HZ
    breath = 2 * np.pi * breaths / 60 * at
    angle = 2 * np.pi * 1.2 * at + rate * np.sin(breath)
    return (1 + amplitude * np.sin(breath)) * np.sin(angle) + baseline * np.sin(breath)


@pytest.mark.parametrize("breaths", [8, 15, 24])
@pytest.mark.parametrize("modulation", [{"baseline": 0.3}, {"amplitude": 0.2}, {"rate": 0.6}])
def test_each_modulation_alone_tells_the_respiration_rate(breaths: float, modulation):
    window = breathing_pulse(breaths, **modulation)[None]

    assert respiration_rate_bpm(window, FS_HZ).item() == pytest.approx(breaths, abs=0.5)


def test_a_simulated_minute_at_15_breaths_has_15_within_one():
    recording = simulate_recording(
        5,
        minutes=1,
        heart_rate_bpm=75,
        resp_rate_bpm=15,
        rhythm="sinus",
        snr_db=25,
        artefacts_per_hour=0,
    )

    rate = respiration_rate_bpm(recording.signal[None], recording.fs_hz)

    assert rate.item() == pytest.approx(15, abs=1)


def test_gain_and_offset_do_not_move_the_rate():
    window = breathing_pulse(12, baseline=0.2, amplitude=0.1)[None]

    np.testing.assert_array_equal(
        respiration_rate_bpm(4096 + 500 * window, FS_HZ), respiration_rate_bpm(window, FS_HZ)
    )


@pytest.mark.parametrize("seconds", [2, 10, 60])
def test_windows_without_breathing_have_a_rate_within_reach_all_the_same(seconds: int):
    samples = round(seconds * FS_HZ)
    noise = np.random.default_rng(0).normal(size=(5, samples)).astype(np.float32)
    flat = np.full((1, samples), 3.0, dtype=np.float32)

    rates = respiration_rate_bpm(np.concatenate([noise, flat]), FS_HZ)

    assert rates.shape == (6,)
    assert ((rates >= 6) & (rates <= 36)).all()
