"""What a frozen encoder is worth on labelled windows, beside what needs no learning.

Every representation is probed on the same windows and the same folds; none of them is trained.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ppgssl.errors import InputError
from ppgssl.evaluation.features import log_spectrum
from ppgssl.evaluation.labelled import LabelledWindows
from ppgssl.evaluation.probes import (
    Score,
    auroc,
    cross_validated_logistic,
    cross_validated_ridge,
    mean_absolute_error,
    pearson_r,
    score,
)
from ppgssl.inference.encoder import PpgEncoder
from ppgssl.signal.rates import heart_rate_bpm

FEWEST_SUBJECTS = 5
MOST_CLASSES = 12  # a text label with more values is an identifier, not a class
HEART_RATE_LABELS = ("hr_bpm", "pulse_bpm", "device_hr_bpm")


@dataclass(frozen=True, slots=True)
class LabelReport:
    """Scores of one label: representation → metric → score."""

    label: str
    task: str
    windows: int
    subjects: int
    scores: dict[str, dict[str, Score]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of every label, and the windows that could not be embedded."""

    windows: int
    refused: int
    labels: list[LabelReport]

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and text."""
        return asdict(self)


def evaluate(encoder: PpgEncoder, data: LabelledWindows, labels: Sequence[str] = ()) -> Evaluation:
    """Probe an encoder's embeddings, log-spectrum features and the mean.

    A heart rate is also estimated the classical way, by the spectrum's peak, without any probe.

    Args:
        encoder: The frozen encoder.
        data: Labelled windows.
        labels: Which labels; none means every label that can be probed.

    Raises:
        InputError: A label is unknown or cannot be probed, or there is none.
    """
    usable = [
        row
        for row, window in enumerate(data.signal)
        if encoder.find_fault(window, data.fs_hz) is None
    ]
    signal = data.signal[usable]
    features = {
        "encoder": encoder.embed(signal, data.fs_hz).embedding,
        "log_spectrum": log_spectrum(signal, data.fs_hz),
        "mean": np.zeros((len(usable), 1), dtype=np.float32),
    }
    peaks = heart_rate_bpm(signal, data.fs_hz)
    names = labels or [name for name in data.labels if _obstacle(data, name) is None]
    reports: list[LabelReport] = []
    for name in names:
        obstacle = _obstacle(data, name)
        if obstacle is not None:
            raise InputError(f"label {name!r} cannot be probed: {obstacle}")
        values, subjects = data.labels[name][usable], data.subjects[usable]
        report = _probe(name, values, subjects, features)
        if name in HEART_RATE_LABELS:
            report.scores["spectral_peak"] = _score_regression(values, peaks, subjects)
        reports.append(report)
    if not reports:
        raise InputError(
            f"no label can be probed; the data has {', '.join(data.labels) or 'none'}, and a label "
            f"needs values of at least {FEWEST_SUBJECTS} subjects"
        )
    return Evaluation(len(usable), len(data.signal) - len(usable), reports)


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
    return None


def _probe(
    name: str, values: np.ndarray, subjects: np.ndarray, features: dict[str, np.ndarray]
) -> LabelReport:
    known = _known(values)
    values, subjects = values[known], subjects[known]
    is_text = _is_text(values)
    scores: dict[str, dict[str, Score]] = {}
    for representation, matrix in features.items():
        if is_text:
            probabilities = cross_validated_logistic(matrix[known], values, subjects)
            scores[representation] = {"auroc": score(auroc, values, probabilities, subjects)}
        else:
            predicted = cross_validated_ridge(matrix[known], values, subjects)
            scores[representation] = _score_regression(values, predicted, subjects)
    return LabelReport(
        label=name,
        task="classification" if is_text else "regression",
        windows=len(values),
        subjects=len(np.unique(subjects)),
        scores=scores,
    )


def _score_regression(
    values: np.ndarray, predicted: np.ndarray, subjects: np.ndarray
) -> dict[str, Score]:
    known = _known(values)
    values, predicted, subjects = values[known], predicted[known], subjects[known]
    return {
        "mae": score(mean_absolute_error, values, predicted, subjects),
        "pearson_r": score(pearson_r, values, predicted, subjects),
    }


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind in "US"


def _known(values: np.ndarray) -> np.ndarray:
    return values != "" if _is_text(values) else np.isfinite(values)
