"""Linear probes: what a ridge or a logistic regression can read from frozen features.

Folds never share a subject. Everything that is fitted (scaling, strength of the penalty, weights)
is fitted on the training folds alone.

Axes used in this file:
    N  windows with a label    D  width of the features    K  classes
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
RIDGE_PENALTIES = np.logspace(0, 5, 11)
LOGISTIC_STRENGTH = 0.01
BOOTSTRAP_REPEATS = 1000
CONFIDENCE = 0.95

Features = Float[np.ndarray, "N D"]
Metric = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, slots=True)
class Score:
    """A metric over all held-out windows, with a bootstrap interval over subjects."""

    value: float
    low: float
    high: float


def cross_validated_ridge(
    features: Features, labels: Float[np.ndarray, " N"], subjects: np.ndarray
) -> Float[np.ndarray, " N"]:
    """Each window's label as predicted by the fold that did not see its subject."""
    predicted = np.empty(len(labels), dtype=np.float64)
    for train, test in _folds(subjects):
        probe = make_pipeline(StandardScaler(), RidgeCV(alphas=RIDGE_PENALTIES))
        probe.fit(features[train], labels[train])
        predicted[test] = probe.predict(features[test])
    return predicted


def cross_validated_logistic(
    features: Features, labels: np.ndarray, subjects: np.ndarray
) -> Float[np.ndarray, "N K"]:
    """Each window's class probabilities, classes in sorted order, from the fold that held it out.

    A class that a training fold lacks has probability 0 there.
    """
    classes = np.unique(labels)
    predicted = np.zeros((len(labels), len(classes)))
    for train, test in _folds(subjects):
        present = np.unique(labels[train])
        columns = np.searchsorted(classes, present)
        if len(present) == 1:
            predicted[np.ix_(test, columns)] = 1.0
            continue
        probe: Pipeline = make_pipeline(
            StandardScaler(), LogisticRegression(C=LOGISTIC_STRENGTH, max_iter=2000)
        )
        probe.fit(features[train], labels[train])
        predicted[np.ix_(test, columns)] = probe.predict_proba(features[test])
    return predicted


def mean_absolute_error(labels: np.ndarray, predicted: np.ndarray) -> float:
    """In the label's unit."""
    return float(np.abs(labels - predicted).mean())


def pearson_r(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Correlation; 0 where either side does not vary."""
    if labels.std() == 0 or predicted.std() == 0:
        return 0.0
    return float(np.corrcoef(labels, predicted)[0, 1])


def auroc(labels: np.ndarray, predicted: Float[np.ndarray, "N K"]) -> float:
    """Area under the ROC curve, one class against the rest, averaged; nan with a single class."""
    classes = np.unique(labels)
    if len(classes) < 2:
        return float("nan")
    areas = [roc_auc_score(labels == c, predicted[:, k]) for k, c in enumerate(classes)]
    return float(np.mean(areas))


def score(
    metric: Metric,
    labels: np.ndarray,
    predicted: np.ndarray,
    subjects: np.ndarray,
    *,
    seed: int = 0,
) -> Score:
    """A metric with its 95 % interval, from 1,000 draws of subjects with replacement."""
    generator = np.random.default_rng(seed)
    rows_of = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    values: list[float] = []
    for _ in range(BOOTSTRAP_REPEATS):
        drawn = generator.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[i] for i in drawn])
        values.append(metric(labels[rows], predicted[rows]))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return Score(metric(labels, predicted), float(low), float(high))


def _folds(subjects: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    num_folds = min(FOLDS, len(np.unique(subjects)))
    return list(GroupKFold(num_folds).split(subjects, groups=subjects))
