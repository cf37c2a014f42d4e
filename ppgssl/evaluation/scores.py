"""Metrics of held-out predictions, with bootstrap intervals over subjects.

A draw of subjects with replacement is a weight per window: how often its subject was drawn. Every
metric takes weights, so one formula gives the value (all weights 1) and the bootstrap's values, all
draws at once.

Axes used in this file:
    N  windows    S  subjects    R  draws    K  classes    G  distinct predictions
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

BOOTSTRAP_DRAWS = 1000
CONFIDENCE = 0.95
WEIGHTS_AT_A_TIME = 4_000_000  # 32 MB: bounds the memory of large evaluations

Weights = Float[np.ndarray, "R N"]
Values = Float[np.ndarray, " R"]
Metric = Callable[[np.ndarray, np.ndarray, Weights], Values]


@dataclass(frozen=True, slots=True)
class Score:
    """A figure over all held-out windows, with its 95 % interval over subjects."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """For differences: whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def score(statistic: Callable[[Weights], Values], subjects: np.ndarray, *, seed: int) -> Score:
    """A statistic with its 95 % interval, from 1,000 draws of subjects with replacement.

    Draws in which the statistic is undefined (nan) are left out.

    Args:
        statistic: From weights of the windows to one value per row of weights.
        subjects: (N,) the windows' subjects.
        seed: The same seed draws the same subjects, so differences are paired.
    """
    drawn = np.concatenate([statistic(weights) for weights in _draws(subjects, seed)])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn[np.isfinite(drawn)], [tail, 100 - tail])
    (value,) = statistic(np.ones((1, len(subjects))))
    return Score(float(value), float(low), float(high))


def mean_absolute_error(
    labels: Float[np.ndarray, " N"], predicted: Float[np.ndarray, " N"], weights: Weights
) -> Values:
    """In the label's unit."""
    return weights @ np.abs(labels - predicted) / weights.sum(axis=1)


def pearson_r(
    labels: Float[np.ndarray, " N"], predicted: Float[np.ndarray, " N"], weights: Weights
) -> Values:
    """Correlation; 0 where either side does not vary."""
    share = weights / weights.sum(axis=1, keepdims=True)
    x, y = labels - labels.mean(), predicted - predicted.mean()
    mean_x, mean_y = share @ x, share @ y
    variances = (share @ x**2 - mean_x**2) * (share @ y**2 - mean_y**2)
    varies = variances > np.finfo(float).eps * (x.var() * y.var())
    covariance = share @ (x * y) - mean_x * mean_y
    return np.where(varies, covariance / np.sqrt(np.where(varies, variances, 1.0)), 0.0)


def auroc(
    labels: Int[np.ndarray, " N"], predicted: Float[np.ndarray, "N K"], weights: Weights
) -> Values:
    """Area under the ROC curve, one class against the rest, averaged over the classes drawn.

    With two classes the two areas are the same. nan where a single class was drawn.
    """
    first = 1 if predicted.shape[1] == 2 else 0
    areas = [_area(labels == k, predicted[:, k], weights) for k in range(first, predicted.shape[1])]
    return _mean_of_defined(np.stack(areas))


def balanced_accuracy(
    labels: Int[np.ndarray, " N"], predicted: Float[np.ndarray, "N K"], weights: Weights
) -> Values:
    """Share of the windows given their own class, averaged over the classes drawn."""
    is_right = (predicted.argmax(axis=1) == labels).astype(float)
    recalls: list[Values] = []
    for k in range(predicted.shape[1]):
        members = weights[:, labels == k]
        recalls.append(_ratio(members @ is_right[labels == k], members.sum(axis=1)))
    return _mean_of_defined(np.stack(recalls))


def _draws(subjects: np.ndarray, seed: int) -> Iterator[Weights]:
    generator = np.random.default_rng(seed)
    names, subject_of = np.unique(subjects, return_inverse=True)
    evenly = np.full(len(names), 1 / len(names))
    counts = generator.multinomial(len(names), evenly, size=BOOTSTRAP_DRAWS).astype(float)
    at_a_time = max(1, WEIGHTS_AT_A_TIME // len(subjects))
    for first in range(0, BOOTSTRAP_DRAWS, at_a_time):
        yield counts[first : first + at_a_time, subject_of]


def _area(is_member: np.ndarray, predicted: Float[np.ndarray, " N"], weights: Weights) -> Values:
    """Chance that a member is predicted higher than a stranger; ties count half."""
    order = np.argsort(predicted, kind="stable")
    starts = np.flatnonzero(np.diff(predicted[order], prepend=-np.inf))
    members = np.add.reduceat((weights * is_member)[:, order], starts, axis=1)
    strangers = np.add.reduceat((weights * ~is_member)[:, order], starts, axis=1)
    below = strangers.cumsum(axis=1) - strangers / 2
    return _ratio((members * below).sum(axis=1), members.sum(axis=1) * strangers.sum(axis=1))


def _ratio(above: Values, below: Values) -> Values:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


def _mean_of_defined(values: Float[np.ndarray, "K R"]) -> Values:
    """Mean over the first axis without its nans; nan where there is nothing else."""
    is_defined = np.isfinite(values)
    return _ratio(np.where(is_defined, values, 0.0).sum(axis=0), is_defined.sum(axis=0))
