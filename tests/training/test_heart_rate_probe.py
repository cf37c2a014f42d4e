"""The ridge probe on embeddings that hold the heart rate exactly, not at all, or in part."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from ppgssl.training.heart_rate_probe import PENALTIES, heart_rate_probe, ridge

NUM_WINDOWS = 400


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def probe(embeddings: np.ndarray, rates: np.ndarray) -> dict[str, float]:
    """Fitted on the first half, tested on the second."""
    half = len(rates) // 2
    return heart_rate_probe(embeddings[:half], rates[:half], embeddings[half:], rates[half:])


def test_a_rate_that_is_linear_in_the_embedding_is_read_to_a_beat(generator):
    rates = generator.uniform(50, 120, NUM_WINDOWS)
    embeddings = np.outer(rates, [0.1, -3.0, 2.0]) + 7

    figures = probe(embeddings, rates)

    assert figures["hr_probe_mae"] < 0.2
    assert figures["hr_probe_r"] > 0.999
    assert figures["hr_mean_mae"] == pytest.approx(17.5, abs=1.5)  # a quarter of the range of 70


def test_embeddings_of_noise_are_worth_no_more_than_the_mean(generator):
    rates = generator.uniform(50, 120, NUM_WINDOWS)
    embeddings = generator.normal(size=(NUM_WINDOWS, 64))

    figures = probe(embeddings, rates)

    assert figures["hr_probe_mae"] > 0.95 * figures["hr_mean_mae"]
    assert abs(figures["hr_probe_r"]) < 0.3


def test_equal_embeddings_predict_the_mean(generator):
    rates = generator.uniform(50, 120, NUM_WINDOWS)

    figures = probe(np.ones((NUM_WINDOWS, 4)), rates)

    assert figures["hr_probe_mae"] == pytest.approx(figures["hr_mean_mae"])


def test_the_ridge_is_scikit_learns_at_one_of_the_penalties(generator):
    features, others = generator.normal(3, 2, (40, 60)), generator.normal(3, 2, (5, 60))
    labels = features[:, 0] - features[:, 1] + generator.normal(0, 0.5, 40)

    predicted = ridge(features, labels, others)

    scaler = StandardScaler().fit(features)
    candidates = [
        Ridge(alpha=penalty)
        .fit(scaler.transform(features), labels)
        .predict(scaler.transform(others))
        for penalty in PENALTIES
    ]
    assert min(np.abs(predicted - candidate).max() for candidate in candidates) < 1e-8
