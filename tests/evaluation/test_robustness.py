"""Corruptions that are what they are called, and a probe whose score is known under them."""

import numpy as np
import pytest

from ppgssl.evaluation.evaluate import evaluate
from ppgssl.evaluation.labelled import LabelledWindows
from ppgssl.evaluation.robustness import CORRUPTIONS, corrupted_features
from ppgssl.evaluation.settings import EvaluationSettings
from ppgssl.inference.encoder import load_encoder

FS_HZ = 125.0
T_S = np.arange(1250) / FS_HZ
RATES_HZ = np.linspace(0.8, 1.8, 30)
SIGNAL = np.sin(2 * np.pi * RATES_HZ[:, None] * T_S).astype(np.float32)


def corrupt(name: str) -> tuple[np.ndarray, float]:
    return CORRUPTIONS[name](SIGNAL, FS_HZ, np.random.default_rng(0))


def test_the_noise_is_10_db_below_the_signal():
    noisy, _ = corrupt("noise 10 dB")

    assert SIGNAL.var() / (noisy - SIGNAL).var() == pytest.approx(10, rel=0.03)


@pytest.mark.parametrize(("name", "fs_hz"), [("half the rate", 62.5), ("64 Hz", 64.0)])
def test_lower_rates_keep_the_signal_and_its_length_in_seconds(name: str, fs_hz: float):
    slower, rate_hz = corrupt(name)

    expected = np.sin(2 * np.pi * RATES_HZ[:, None] * np.arange(round(10 * fs_hz)) / fs_hz)
    inside = slice(30, -30)  # filters ring at the ends
    assert (rate_hz, slower.shape) == (fs_hz, expected.shape)
    np.testing.assert_allclose(slower[:, inside], expected[:, inside], atol=0.01)


def test_a_tenth_of_the_samples_is_lost_and_filled_with_straight_lines():
    filled, _ = corrupt("dropped samples")

    share = (filled != SIGNAL).mean()
    longest = max(
        np.diff(np.flatnonzero(row == clean)).max()
        for row, clean in zip(filled, SIGNAL, strict=True)
    )
    assert share == pytest.approx(0.1, abs=0.02)
    assert longest <= 0.4 * FS_HZ + 1  # two gaps that meet
    assert np.isfinite(filled).all()


def test_gain_and_polarity_change_nothing_else():
    np.testing.assert_array_equal(corrupt("gain x10")[0], 10 * SIGNAL)
    np.testing.assert_array_equal(corrupt("inverted")[0], -SIGNAL)


def test_every_representation_sees_the_same_corrupted_windows():
    same = {"a": lambda signal, _: signal, "b": lambda signal, _: signal}

    found = dict(corrupted_features(same, SIGNAL, FS_HZ, seed=0))

    assert list(found) == list(CORRUPTIONS)
    for features in found.values():
        np.testing.assert_array_equal(features["a"], features["b"])


def test_what_the_spectrum_does_not_see_costs_it_nothing(encoder_folder):
    data = LabelledWindows(
        SIGNAL, FS_HZ, np.repeat(np.arange(10), 3), {"hr_bpm": 60 * RATES_HZ[::-1]}
    )
    settings = EvaluationSettings(label_efficiency=False, references=False)

    (report,) = evaluate(load_encoder(encoder_folder), data, settings).labels

    ratio = {
        point.condition: point.ratio_to_clean
        for point in report.robustness
        if point.representation == "log_spectrum"
    }
    assert ratio["inverted"] == pytest.approx(1, abs=1e-3)
    assert ratio["gain x10"] == pytest.approx(1, abs=1e-3)
    assert {p.representation for p in report.robustness} == {"encoder", "log_spectrum"}
