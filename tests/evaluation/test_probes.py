"""Probes on features whose answer is known: perfect, useless, and leaking by subject."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from ppgssl.evaluation.features import log_spectrum
from ppgssl.evaluation.probes import (
    RIDGE_PENALTIES,
    Fit,
    fit_folds,
    fit_ridge,
    logistic_fit,
    predict_held_out,
    subject_folds,
)

SUBJECTS = np.repeat(np.arange(20), 10)


def held_out(fit: Fit, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    folds = subject_folds(SUBJECTS)
    return predict_held_out(fit_folds(fit, features, labels, SUBJECTS, folds), features, folds)


def test_no_subject_is_in_two_folds_and_every_row_is_tested_once():
    subjects = np.random.default_rng(0).integers(12, size=100)

    folds = subject_folds(subjects)

    assert len(folds) == 5
    assert all(not set(subjects[f.train]) & set(subjects[f.test]) for f in folds)
    assert sorted(np.concatenate([f.test for f in folds])) == list(range(100))


def test_every_fold_has_a_rare_class_to_learn_from_where_two_people_have_it():
    subjects = np.repeat(np.arange(12), 10)
    classes = (subjects >= 10).astype(int)

    folds = subject_folds(subjects, classes)

    assert all(set(classes[f.train]) == {0, 1} for f in folds)
    assert all(not set(subjects[f.train]) & set(subjects[f.test]) for f in folds)


def test_a_class_of_fewer_windows_than_folds_is_no_obstacle():
    classes = np.repeat([0, 1], [98, 2])

    folds = subject_folds(np.arange(100), classes)

    assert sorted(np.concatenate([f.test for f in folds])) == list(range(100))


def test_a_ridge_probe_reads_a_linear_label_of_unseen_subjects():
    features = np.random.default_rng(0).normal(size=(200, 6))
    labels = 70 + features @ np.array([3.0, -2, 0, 0, 1, 0])

    predicted = held_out(fit_ridge, features, labels)

    assert np.abs(labels - predicted).mean() < 0.1


def test_a_label_that_only_the_subject_s_identity_tells_is_not_read():
    generator = np.random.default_rng(1)
    features = np.eye(20)[SUBJECTS] + 0.01 * generator.normal(size=(200, 20))
    labels = generator.normal(70, 10, size=20)[SUBJECTS]

    predicted = held_out(fit_ridge, features, labels)

    assert np.corrcoef(labels, predicted)[0, 1] < 0.3


def test_constant_features_predict_the_mean_of_the_other_folds():
    labels = np.random.default_rng(2).normal(70, 10, size=200)

    predicted = held_out(fit_ridge, np.zeros((200, 1)), labels)

    assert predicted == pytest.approx(np.full(200, labels.mean()), abs=2)


@pytest.mark.parametrize(("width", "subjects"), [(100, 20), (30, 20), (2, 20), (4, 1)])
def test_the_penalty_is_that_of_refitting_without_each_subject(width: int, subjects: int):
    generator = np.random.default_rng(width)
    features = generator.normal(size=(60, width))
    people = np.repeat(np.arange(subjects), 60 // subjects)
    labels = features[:, 0] + generator.normal(size=subjects)[people] + generator.normal(size=60)
    scaled = StandardScaler().fit_transform(features)

    predicted = fit_ridge(features, labels, people)(features)

    best = min(RIDGE_PENALTIES, key=lambda penalty: refitted_error(penalty, scaled, labels, people))
    np.testing.assert_allclose(
        predicted, Ridge(best).fit(scaled, labels).predict(scaled), atol=1e-6
    )


def refitted_error(
    penalty: float, scaled: np.ndarray, labels: np.ndarray, people: np.ndarray
) -> float:
    """The slow way; single subjects are left out window by window."""
    groups = people if len(np.unique(people)) > 1 else np.arange(len(people))
    error = 0.0
    for group in np.unique(groups):
        left_out = groups == group
        ridge = Ridge(penalty).fit(scaled[~left_out], labels[~left_out])
        error += ((ridge.predict(scaled[left_out]) - labels[left_out]) ** 2).sum()
    return error


def test_a_single_window_to_learn_from_predicts_its_label():
    probe = fit_ridge(np.ones((1, 3)), np.array([70.0]), np.array(["a"]))

    assert probe(np.zeros((2, 3))) == pytest.approx([70, 70])


def test_a_logistic_probe_separates_classes():
    generator = np.random.default_rng(3)
    labels = generator.integers(2, size=200)
    telling = labels[:, None] + 0.1 * generator.normal(size=(200, 1))

    chances = held_out(logistic_fit(2), telling, labels)

    assert (chances.argmax(axis=1) == labels).mean() > 0.99
    assert chances.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("train", "expected"), [([1, 1, 1], [0, 1, 0]), ([0, 2, 2], [0.5, 0, 0.5])]
)
def test_a_class_that_was_never_seen_has_no_chance(train: list[int], expected: list[float]):
    fit: Callable = logistic_fit(3)

    probe = fit(np.zeros((3, 1)), np.array(train), SUBJECTS[:3])

    assert probe(np.zeros((2, 1))) == pytest.approx(np.array([expected] * 2), abs=1e-6)


def test_the_log_spectrum_peaks_at_the_pulse_rate_and_ignores_gain():
    t = np.arange(1250) / 125
    window = np.sin(2 * np.pi * 1.2 * t)[None]

    features = log_spectrum(window, 125.0)

    assert features.argmax() == 11  # bins of 0.1 Hz from 0.1 Hz
    np.testing.assert_allclose(log_spectrum(50 + 9 * window, 125.0), features, atol=1e-3)
