"""What a probe is asked to predict: a label's known values, as numbers or as classes.

Axes used in this file:
    N  all windows    M  windows that have a value
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from ppgssl.errors import InputError
from ppgssl.evaluation.labelled import LabelledWindows
from ppgssl.evaluation.probes import Fit, Fold, fit_ridge, logistic_fit, subject_folds
from ppgssl.evaluation.scores import (
    Metric,
    auroc,
    balanced_accuracy,
    mean_absolute_error,
    pearson_r,
)

FEWEST_SUBJECTS = 5
MOST_CLASSES = 12  # a text label with more values is an identifier, not a class


@dataclass(frozen=True)
class Target:
    """A label of the windows that have one, and how a probe of it is fitted and judged.

    Attributes:
        name: Of the label.
        rows: (M,) which windows have a value.
        values: (M,) numbers in the label's unit, or class numbers.
        classes: Names of the classes; none for a number.
        subjects: (M,) their subjects.
        left_out: Classes that a single person has: they cannot be both learnt and tested. Their
            windows are not among the rows.
    """

    name: str
    rows: Int[np.ndarray, " M"]
    values: Float[np.ndarray, " M"] | Int[np.ndarray, " M"]
    classes: tuple[str, ...]
    subjects: np.ndarray
    left_out: tuple[str, ...] = ()

    @property
    def task(self) -> Literal["classification", "regression"]:
        """Whether classes or numbers are predicted."""
        return "classification" if self.classes else "regression"

    @property
    def fit(self) -> Fit:
        """How its probe is fitted."""
        return logistic_fit(len(self.classes)) if self.classes else fit_ridge

    @property
    def metrics(self) -> dict[str, Metric]:
        """How its probe is judged; the first metric is the one that representations compete in."""
        if self.classes:
            return {"auroc": auroc, "balanced_accuracy": balanced_accuracy}
        return {"mae": mean_absolute_error, "pearson_r": pearson_r}

    @cached_property
    def folds(self) -> list[Fold]:
        """The folds that every representation is tested on; rows count from 0 to M - 1."""
        return subject_folds(self.subjects, self.values if self.classes else None)


def choose_targets(data: LabelledWindows, names: tuple[str, ...]) -> list[Target]:
    """The labels asked for; none means every label that can be probed.

    Raises:
        InputError: A label is unknown or cannot be probed, or there is none.
    """
    for name in names:
        obstacle = _obstacle(data, name)
        if obstacle is not None:
            raise InputError(f"label {name!r} cannot be probed: {obstacle}")
    chosen = names or [name for name in data.labels if _obstacle(data, name) is None]
    if not chosen:
        raise InputError(
            f"no label can be probed; the data has {', '.join(data.labels) or 'none'}, and a label "
            f"needs values of at least {FEWEST_SUBJECTS} subjects"
        )
    return [_make_target(data, name) for name in chosen]


def _obstacle(data: LabelledWindows, name: str) -> str | None:
    if name not in data.labels:
        return f"the data has only {', '.join(data.labels) or 'no labels'}"
    values = data.labels[name]
    known = _known(values)
    num_subjects = len(np.unique(data.subjects[known]))
    if num_subjects < FEWEST_SUBJECTS:
        return f"{num_subjects} subjects have a value, at least {FEWEST_SUBJECTS} are needed"
    num_values = len(np.unique(values[known]))
    if num_values < 2:
        return "it has the same value everywhere"
    if _is_text(values) and num_values > MOST_CLASSES:
        return f"it is text with {num_values} values, at most {MOST_CLASSES} are classes"
    if _is_classified(values[known]) and len(_shared(values[known], data.subjects[known])) < 2:
        return "fewer than two of its values occur in more than one subject"
    return None


def _make_target(data: LabelledWindows, name: str) -> Target:
    """Text and numbers of two values (such as 0 and 1) are classes; other numbers are numbers."""
    rows = np.flatnonzero(_known(data.labels[name]))
    values, subjects = data.labels[name][rows], data.subjects[rows]
    if not _is_classified(values):
        return Target(name, rows, values, (), subjects)
    shared = _shared(values, subjects)
    lonely = np.setdiff1d(values, shared)
    kept = np.isin(values, shared)
    class_of = np.searchsorted(shared, values[kept])
    return Target(
        name, rows[kept], class_of, _class_names(shared), subjects[kept], _class_names(lonely)
    )


def _class_names(values: np.ndarray) -> tuple[str, ...]:
    return tuple(str(value) if _is_text(values) else f"{value:g}" for value in values)


def _is_classified(known_values: np.ndarray) -> bool:
    return _is_text(known_values) or len(np.unique(known_values)) == 2


def _shared(values: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """The values, sorted, that two subjects or more have."""
    distinct = np.unique(values)
    return distinct[[len(np.unique(subjects[values == value])) > 1 for value in distinct]]


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind in "US"


def _known(values: np.ndarray) -> np.ndarray:
    return values != "" if _is_text(values) else np.isfinite(values)
