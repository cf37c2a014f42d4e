"""Linear probes: what a ridge or a logistic regression can read from frozen features.

Folds never share a subject. Everything that is fitted (scaling, strength of the penalty, weights)
is fitted on the training folds alone. Nothing here is scored: see `scores.py`.

Axes used in this file:
    N  windows with a label    M  windows of one fold or subject    D  width of the features
    K  classes
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
RIDGE_PENALTIES = np.logspace(0, 7, 8)
LOGISTIC_STRENGTH = 0.01
CONSTANT = 1e-12  # a feature that spreads less is not scaled

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


def subject_folds(subjects: np.ndarray, classes: np.ndarray | None = None) -> list[Fold]:
    """Five folds (fewer with fewer subjects) of about as many windows; no subject is in two.

    Args:
        subjects: (N,) the windows' subjects.
        classes: (N,) their classes, of which each fold has about the same share; without that a
            rare class may be missing where it has to be learnt.
    """
    num_folds = min(FOLDS, len(np.unique(subjects)))
    if classes is None:
        splits = GroupKFold(num_folds).split(subjects, groups=subjects)
        return [Fold(train, test) for train, test in splits]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # a fold does without it
        splits = list(StratifiedGroupKFold(num_folds).split(subjects, classes, subjects))
    return [Fold(train, test) for train, test in splits if len(test)]


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
    centre, spread = (of(features, axis=0, dtype=np.float64) for of in (np.mean, np.std))
    scale, mean = np.where(spread > CONSTANT, spread, 1.0), float(labels.mean())
    scaled = (features - centre) / scale
    rotated, power = _rotate(scaled)
    penalty = _best_penalty(rotated, power, labels - mean, subjects)
    shrunk = rotated / np.sqrt(power + penalty)
    missed = labels - mean - shrunk @ (shrunk.T @ (labels - mean))
    weights = scaled.T @ missed / penalty
    return lambda unseen: (unseen - centre) / scale @ weights + mean


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


def _rotate(scaled: Features) -> tuple[Features, Float[np.ndarray, " D"]]:
    """The features along their principal axes, and their power there; at most N axes."""
    num_rows, width = scaled.shape
    if num_rows < width:
        power, directions = np.linalg.eigh(scaled @ scaled.T)
        power = np.maximum(power, 0.0)
        return directions * np.sqrt(power), power
    power, axes = np.linalg.eigh(scaled.T @ scaled)
    return scaled @ axes, np.maximum(power, 0.0)


def _best_penalty(
    rotated: Features,
    power: Float[np.ndarray, " D"],
    labels: Float[np.ndarray, " N"],
    subjects: np.ndarray,
) -> float:
    names = np.unique(subjects)
    groups = [np.flatnonzero(subjects == name) for name in names]
    if len(names) == 1:
        groups = [np.array([row]) for row in range(len(subjects))]
    if len(groups) == 1:
        return float(RIDGE_PENALTIES[-1])  # a single window: there is nothing to choose by
    errors = [
        _left_out_error(rotated / np.sqrt(power + penalty), labels, groups)
        for penalty in RIDGE_PENALTIES
    ]
    return float(RIDGE_PENALTIES[int(np.argmin(errors))])


def _left_out_error(
    shrunk: Features, labels: Float[np.ndarray, " N"], groups: Sequence[Rows]
) -> float:
    """Summed squared error on each group as if the ridge had been fitted without it, exactly.

    Args:
        shrunk: A matrix whose product with its transpose is the ridge's hat matrix.
        labels: Without their mean.
        groups: Rows that are left out together.

    Source:
        Hastie, Tibshirani and Friedman 2009, section 7.10: the errors of left out rows are
        (I - H)^-1 times the fit's own. The smaller of two equal systems is solved.
    """
    num_rows, width = shrunk.shape
    hat = np.column_stack([shrunk, np.full(num_rows, num_rows**-0.5)])
    missed = labels - shrunk @ (shrunk.T @ labels)
    if len(groups) == num_rows:
        return float(np.sum((missed / (1 - np.square(hat).sum(axis=1))) ** 2))
    error = 0.0
    for rows in groups:
        own, left = hat[rows], missed[rows]
        if len(rows) <= width:
            unseen = np.linalg.solve(np.eye(len(rows)) - own @ own.T, left)
        else:
            unseen = left + own @ np.linalg.solve(np.eye(width + 1) - own.T @ own, own.T @ left)
        error += float(unseen @ unseen)
    return error
