"""Linear probes: what a ridge or a logistic regression can read from frozen features.

Folds never share a subject. Everything that is fitted (scaling, strength of the penalty, weights)
is fitted on the training folds alone. Nothing here is scored: see `scores.py`.

Axes used in this file:
    N  windows with a label    M  windows of one fold or subject    D  width of the features
    K  classes
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
RIDGE_PENALTIES = np.logspace(0, 5, 11)
LOGISTIC_STRENGTH = 0.01

Features = Float[np.ndarray, "N D"]
Rows = Int[np.ndarray, " M"]
Probe = Callable[[Features], np.ndarray]
Fit = Callable[[Features, np.ndarray, np.ndarray], Probe]
"""From features, labels and subjects of the training folds to a probe."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows that a probe is fitted on, and rows of other subjects that it is tested on."""

    train: Rows
    test: Rows


def subject_folds(subjects: np.ndarray) -> list[Fold]:
    """Five folds (fewer with fewer subjects) of about as many windows; no subject is in two."""
    num_folds = min(FOLDS, len(np.unique(subjects)))
    splits = GroupKFold(num_folds).split(subjects, groups=subjects)
    return [Fold(train, test) for train, test in splits]


def fit_folds(
    fit: Fit, features: Features, labels: np.ndarray, subjects: np.ndarray, folds: Sequence[Fold]
) -> list[Probe]:
    """One probe a fold, each from its training rows alone."""
    return [fit(features[fold.train], labels[fold.train], subjects[fold.train]) for fold in folds]


def predict_held_out(
    probes: Sequence[Probe], features: Features, folds: Sequence[Fold]
) -> np.ndarray:
    """Each row as predicted by the probe that did not see its subject: (N,), or (N, K) chances."""
    parts = [probe(features[fold.test]) for probe, fold in zip(probes, folds, strict=True)]
    order = np.argsort(np.concatenate([fold.test for fold in folds]))
    return np.concatenate(parts)[order]


def fit_ridge(features: Features, labels: Float[np.ndarray, " N"], subjects: np.ndarray) -> Probe:
    """Ridge regression on standardised features.

    The penalty is the one whose predictions of each training subject, left out with all its
    windows, are best. (Leaving out single windows would choose one that fits the subjects.) With a
    single subject its windows are left out one by one.
    """
    scaler = StandardScaler().fit(features)
    scaled = np.asarray(scaler.transform(features), np.float64)
    mean = float(labels.mean())
    power, axes = np.linalg.eigh(scaled.T @ scaled)
    power, rotated = np.maximum(power, 0.0), scaled @ axes
    towards = rotated.T @ (labels - mean)
    groups = _left_out_together(subjects)
    errors = [
        _left_out_error(rotated / np.sqrt(power + penalty), labels - mean, groups)
        for penalty in RIDGE_PENALTIES
    ]
    weights = axes @ (towards / (power + RIDGE_PENALTIES[int(np.argmin(errors))]))
    return lambda unseen: np.asarray(scaler.transform(unseen), np.float64) @ weights + mean


def logistic_fit(num_classes: int) -> Fit:
    """How a logistic regression on standardised features is fitted, all classes weighing the same.

    Labels are class numbers. The probe gives (N, K) chances; a class that the training rows lack
    has none.
    """

    def fit(features: Features, labels: Int[np.ndarray, " N"], _: np.ndarray) -> Probe:
        present = np.unique(labels)
        if len(present) == 1:
            return lambda unseen: np.tile(np.eye(num_classes)[present], (len(unseen), 1))
        regression = LogisticRegression(C=LOGISTIC_STRENGTH, class_weight="balanced", max_iter=2000)
        probe: Pipeline = make_pipeline(StandardScaler(), regression).fit(features, labels)

        def chances(unseen: Features) -> Float[np.ndarray, "N K"]:
            predicted = np.zeros((len(unseen), num_classes))
            predicted[:, present] = probe.predict_proba(unseen)
            return predicted

        return chances

    return fit


def _left_out_together(subjects: np.ndarray) -> list[Rows]:
    names = np.unique(subjects)
    if len(names) == 1:
        return [np.array([row]) for row in range(len(subjects))]
    return [np.flatnonzero(subjects == name) for name in names]


def _left_out_error(
    directions: Features, residual: Float[np.ndarray, " N"], groups: Sequence[Rows]
) -> float:
    """Summed squared error on each group as if the ridge had been fitted without it, exactly.

    Args:
        directions: A matrix whose product with its transpose is the ridge's hat matrix.
        residual: Labels without their mean.
        groups: Rows that are left out together.

    Source:
        Hastie, Tibshirani and Friedman 2009, section 7.10: the residuals of left out rows are
        (I - H)^-1 times the fit's residuals. The smaller of two equal forms is solved.
    """
    num_rows, width = directions.shape
    hat = np.column_stack([directions, np.full(num_rows, num_rows**-0.5)])
    fitted = residual - directions @ (directions.T @ residual)
    error = 0.0
    for rows in groups:
        own, left = hat[rows], fitted[rows]
        if len(rows) <= width:
            unseen = np.linalg.lstsq(np.eye(len(rows)) - own @ own.T, left)[0]
        else:
            unseen = left + own @ np.linalg.lstsq(np.eye(width + 1) - own.T @ own, own.T @ left)[0]
        error += float(unseen @ unseen)
    return error
