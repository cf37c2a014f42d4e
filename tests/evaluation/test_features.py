"""Reference features of pulses whose beats are known, and of windows without any."""

import numpy as np
import pytest

from ppgssl.evaluation.features import NEUROKIT_FEATURES, neurokit_features

FS_HZ = 125.0


@pytest.fixture(autouse=True, scope="module")
def neurokit() -> None:
    pytest.importorskip("neurokit2", reason="NeuroKit2 is not installed", exc_type=ImportError)


def pulse(bpm: float, *, seconds: float = 20.0) -> np.ndarray:
    angle = 2 * np.pi * bpm / 60 * np.arange(round(seconds * FS_HZ)) / FS_HZ
    return np.sin(angle) + 0.3 * np.sin(2 * angle)


def named(windows: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(NEUROKIT_FEATURES, neurokit_features(windows, FS_HZ).T, strict=True))


def test_regular_pulses_have_their_rate_and_beats_that_are_all_alike():
    features = named(np.stack([pulse(72), pulse(100)]))

    np.testing.assert_allclose(features["rate_bpm"], [72, 100], atol=0.5)
    np.testing.assert_allclose(features["interval_mean_s"], [60 / 72, 0.6], atol=0.005)
    np.testing.assert_allclose(features["crests"], [24, 33], atol=1)
    assert (features["interval_rmssd_s"] < 0.02).all()
    assert (features["quality"] > 0.99).all()


def test_gain_and_offset_do_not_change_the_features():
    window = pulse(72)[None]

    features = neurokit_features(2000 + 300 * window, FS_HZ)

    np.testing.assert_allclose(features, neurokit_features(window, FS_HZ), rtol=1e-4, atol=1e-4)


def test_beats_of_two_heights_have_a_spread_of_crests_that_equal_beats_lack():
    seconds = np.arange(2500) / FS_HZ
    heights = np.where(np.floor(1.2 * seconds) % 2 == 0, 1.0, 0.6)

    features = named(np.stack([pulse(72), heights * pulse(72)]))

    assert features["crest_sd"][0] < 0.1 < 0.2 < features["crest_sd"][1]


def test_a_window_without_beats_has_the_mean_of_the_others_and_its_own_count():
    features = named(np.stack([pulse(60), np.full(2500, 5.0), pulse(90)]))

    assert features["crests"][1] == 0
    assert features["rate_bpm"][1] == pytest.approx(75, abs=0.5)
    assert features["quality"][1] == pytest.approx(features["quality"][[0, 2]].mean(), abs=1e-4)


def test_windows_of_which_none_has_beats_have_zeros_and_no_nan():
    step = np.repeat([0.0, 1.0], 1250)

    features = neurokit_features(np.stack([np.zeros(2500), step]), FS_HZ)

    assert np.isfinite(features).all()
    assert (features[:, NEUROKIT_FEATURES.index("rate_bpm")] == 0).all()
