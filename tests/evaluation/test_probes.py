"""Probes on features whose answer is known: perfect, useless, and leaking by subject."""

import numpy as np
import pytest

from ppgssl.evaluation.features import log_spectrum
from ppgssl.evaluation.probes import (
    auroc,
    cross_validated_logistic,
    cross_validated_ridge,
    mean_absolute_error,
    pearson_r,
    score,
)

SUBJECTS = np.repeat(np.arange(20), 10)


def test_a_ridge_probe_reads_a_linear_label_of_unseen_subjects():
    features = np.random.default_rng(0).normal(size=(200, 6))
    labels = 70 + features @ np.array([3.0, -2, 0, 0, 1, 0])

    predicted = cross_validated_ridge(features, labels, SUBJECTS)

    assert mean_absolute_error(labels, predicted) < 0.1


def test_a_label_that_only_the_subject_s_identity_tells_is_not_read():
    generator = np.random.default_rng(1)
    features = np.eye(20)[SUBJECTS] + 0.01 * generator.normal(size=(200, 20))
    labels = generator.normal(70, 10, size=20)[SUBJECTS]

    predicted = cross_validated_ridge(features, labels, SUBJECTS)

    assert pearson_r(labels, predicted) < 0.3


def test_constant_features_predict_the_mean_of_the_other_folds():
    labels = np.random.default_rng(2).normal(70, 10, size=200)

    predicted = cross_validated_ridge(np.zeros((200, 1)), labels, SUBJECTS)

    assert mean_absolute_error(labels, predicted) == pytest.approx(
        np.abs(labels - labels.mean()).mean(), rel=0.05
    )


def test_a_logistic_probe_separates_classes_and_guesses_without_information():
    generator = np.random.default_rng(3)
    labels = np.where(generator.random(200) < 0.5, "af", "sinus")
    telling = (labels == "af")[:, None] + 0.1 * generator.normal(size=(200, 1))

    informed = cross_validated_logistic(telling, labels, SUBJECTS)
    blind = cross_validated_logistic(generator.normal(size=(200, 3)), labels, SUBJECTS)

    assert auroc(labels, informed) > 0.99
    assert auroc(labels, blind) == pytest.approx(0.5, abs=0.15)


def test_the_interval_over_subjects_holds_the_value_and_widens_with_fewer_subjects():
    generator = np.random.default_rng(4)
    labels = generator.normal(size=200)
    predicted = labels + generator.normal(size=20)[SUBJECTS]

    many = score(mean_absolute_error, labels, predicted, SUBJECTS)
    few = score(mean_absolute_error, labels[:50], predicted[:50], SUBJECTS[:50])

    assert many.low < many.value < many.high
    assert few.high - few.low > many.high - many.low


def test_the_log_spectrum_peaks_at_the_pulse_rate_and_ignores_gain():
    t = np.arange(1250) / 125
    window = np.sin(2 * np.pi * 1.2 * t)[None]

    features = log_spectrum(window, 125.0)

    assert features.argmax() == 11  # bins of 0.1 Hz from 0.1 Hz
    np.testing.assert_allclose(log_spectrum(50 + 9 * window, 125.0), features, atol=1e-3)
