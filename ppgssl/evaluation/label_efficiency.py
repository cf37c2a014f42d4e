"""How few people's labels a probe needs: the same test folds, fewer people to learn from.

Axes used in this file:
    M  windows that have a value
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ppgssl.evaluation.probes import Fold, fit_folds, predict_held_out
from ppgssl.evaluation.scores import Score, score
from ppgssl.evaluation.targets import Target

SHARES = (0.01, 0.05, 0.2, 1.0)
FEW_PEOPLE = 5
DRAWS = 3


@dataclass(frozen=True, slots=True)
class EfficiencyPoint:
    """The mean score over some draws of people.

    Attributes:
        share: Of each training fold's people, for a level that is a share.
        people: Their number, the mean over the folds.
    """

    share: float | None
    people: float
    representation: str
    metric: str
    score: Score

    @property
    def level(self) -> str:
        """Share and number of people, as `20 % (7 people)`."""
        people = f"{self.people:.3g} {'person' if self.people == 1 else 'people'}"
        return people if self.share is None else f"{100 * self.share:g} % ({people})"


def label_efficiency(
    target: Target, features: Mapping[str, Float[np.ndarray, "M D"]], *, seed: int
) -> list[EfficiencyPoint]:
    """Scores with the labels of 1, 5, 20 and 100 % of the people, and of exactly five.

    People are drawn three times, the same for every representation; a smaller draw is part of the
    larger ones. Scores are averaged over the draws.

    Args:
        target: What is predicted.
        features: Of each representation, those of the target's windows.
        seed: Of draws and bootstrap.
    """
    orders = [_draw_orders(target, seed=(seed, draw)) for draw in range(DRAWS)]
    metric_name, metric = next(iter(target.metrics.items()))
    points: list[EfficiencyPoint] = []
    for share, counts in _levels([len(order) for order in orders[0]]):
        is_everybody = share == 1.0
        draws = [
            _folds_of(target, order, counts) for order in orders[: 1 if is_everybody else None]
        ]
        for name, matrix in features.items():
            predictions = [
                predict_held_out(
                    fit_folds(target.fit, matrix, target.values, target.subjects, folds),
                    matrix,
                    folds,
                )
                for folds in draws
            ]
            found = score(
                lambda weights, predictions=predictions: np.mean(
                    [metric(target.values, one, weights) for one in predictions], axis=0
                ),
                target.subjects,
                seed=seed,
            )
            people = float(np.mean(counts))
            points.append(EfficiencyPoint(share, people, name, metric_name, found))
    return points


def _levels(num_people: list[int]) -> Iterator[tuple[float | None, list[int]]]:
    """Shares and, per fold, how many people they are; in the order of the number of people."""
    levels: list[tuple[float | None, list[int]]] = [
        (share, [max(1, round(share * count)) for count in num_people]) for share in SHARES
    ]
    if min(num_people) > FEW_PEOPLE:
        levels.append((None, [FEW_PEOPLE] * len(num_people)))
    yield from sorted(levels, key=lambda level: (sum(level[1]), level[0] or 0))


def _draw_orders(target: Target, *, seed: tuple[int, int]) -> list[np.ndarray]:
    """Per fold, its training people in the order in which they are drawn."""
    generator = np.random.default_rng(seed)
    return [generator.permutation(np.unique(target.subjects[f.train])) for f in target.folds]


def _folds_of(target: Target, orders: list[np.ndarray], counts: list[int]) -> list[Fold]:
    """The target's folds with the training rows of the first people drawn."""
    folds: list[Fold] = []
    for fold, order, count in zip(target.folds, orders, counts, strict=True):
        is_drawn = np.isin(target.subjects[fold.train], order[:count])
        train: Int[np.ndarray, " M"] = fold.train[is_drawn]
        folds.append(Fold(train, fold.test))
    return folds
