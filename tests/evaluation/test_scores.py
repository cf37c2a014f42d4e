"""Weighted metrics against scikit-learn on drawn rows, and intervals whose answer is known."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ppgssl.evaluation.scores import (
    auroc,
    balanced_accuracy,
    mean_absolute_error,
    pearson_r,
    score,
)

SUBJECTS = np.repeat(np.arange(20), 10)
COUNTS = np.random.default_rng(0).integers(0, 4, size=(1, 200))
DRAWN = np.repeat(np.arange(200), COUNTS[0])  # the rows as a bootstrap draws them


def test_weighted_metrics_of_numbers_are_the_metrics_of_drawn_rows():
    generator = np.random.default_rng(1)
    labels, noise = generator.normal(70, 10, size=(2, 200))
    predicted = labels + noise

    error = mean_absolute_error(labels, predicted, COUNTS.astype(float))
    correlation = pearson_r(labels, predicted, COUNTS.astype(float))

    assert error == pytest.approx(np.abs(labels - predicted)[DRAWN].mean())
    assert correlation == pytest.approx(np.corrcoef(labels[DRAWN], predicted[DRAWN])[0, 1])


@pytest.mark.parametrize("classes", [2, 3])
def test_weighted_metrics_of_classes_are_the_metrics_of_drawn_rows(classes: int):
    generator = np.random.default_rng(classes)
    labels = generator.integers(classes, size=200)
    chances = (np.eye(classes)[labels] + generator.random((200, classes))).round(1)  # has ties
    chances /= chances.sum(axis=1, keepdims=True)

    area = auroc(labels, chances, COUNTS.astype(float))
    accuracy = balanced_accuracy(labels, chances, COUNTS.astype(float))

    seen = chances[DRAWN, 1] if classes == 2 else chances[DRAWN]
    assert area == pytest.approx(roc_auc_score(labels[DRAWN], seen, multi_class="ovr"))
    assert accuracy == pytest.approx(
        balanced_accuracy_score(labels[DRAWN], chances[DRAWN].argmax(axis=1))
    )


def test_a_class_that_was_not_drawn_is_left_out_of_the_averages():
    labels = np.array([0, 0, 1, 1, 2, 2])
    chances = np.eye(3)[labels]
    without_last = np.array([[1.0, 1, 1, 1, 0, 0]])
    only_first = np.array([[1.0, 1, 0, 0, 0, 0]])

    assert auroc(labels, chances, without_last) == pytest.approx(1.0)
    assert balanced_accuracy(labels, chances, without_last) == pytest.approx(1.0)
    assert np.isnan(auroc(labels, chances, only_first))


def test_constant_predictions_correlate_with_nothing():
    labels = np.arange(200.0)

    assert pearson_r(labels, np.full(200, 3.0), np.ones((1, 200))) == 0


def test_the_interval_over_subjects_holds_the_value_and_widens_with_fewer_subjects():
    generator = np.random.default_rng(4)
    labels = generator.normal(size=200)
    predicted = labels + generator.normal(size=20)[SUBJECTS]

    many = score(lambda w: mean_absolute_error(labels, predicted, w), SUBJECTS, seed=0)
    few = score(
        lambda w: mean_absolute_error(labels[:50], predicted[:50], w), SUBJECTS[:50], seed=0
    )

    assert many.low < many.value < many.high
    assert few.high - few.low > many.high - many.low


def test_the_interval_of_one_error_per_subject_is_that_of_the_mean():
    errors = np.random.default_rng(5).normal(size=400)
    subjects = np.arange(400)

    interval = score(lambda w: w @ errors / w.sum(axis=1), subjects, seed=0)

    half_width = 1.96 * errors.std() / 20
    assert interval.low == pytest.approx(errors.mean() - half_width, abs=0.02)
    assert interval.high == pytest.approx(errors.mean() + half_width, abs=0.02)
