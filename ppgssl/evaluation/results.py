"""What an evaluation found, as plain values: written by `evaluate.py`, read by reports.

Axes used in this file:
    M  windows that have a label    K  classes
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ppgssl.evaluation.label_efficiency import EfficiencyPoint
from ppgssl.evaluation.robustness import RobustnessPoint
from ppgssl.evaluation.scores import Score
from ppgssl.evaluation.settings import EvaluationSettings
from ppgssl.json_values import finite

ENCODER = "encoder"
MEAN = "mean"

Verdict = Literal["better", "worse", "no clear difference"]


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """Which encoder it was, and in how many directions its embeddings of this data spread."""

    sha256: str
    architecture: dict[str, Any]
    fs_hz: float
    window_samples: int
    embedding_dim: int
    training: dict[str, Any]
    effective_rank: float


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Which windows it was evaluated on; those that could not be embedded are left out."""

    name: str
    fs_hz: float
    window_seconds: float
    windows: int
    subjects: int
    refused: int


@dataclass(frozen=True, slots=True)
class FoldSize:
    """How many subjects and windows one fold learns from and tests."""

    train_subjects: int
    train_windows: int
    test_subjects: int
    test_windows: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The encoder beside another representation, on the same draws of subjects.

    Attributes:
        reference: The other representation.
        metric: The score they are compared by.
        difference: The encoder's score minus the reference's.
        verdict: Clear where the interval of the difference leaves out 0.
    """

    reference: str
    metric: str
    difference: Score
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class HeldOut:
    """True values and the encoder's held-out predictions, for pictures.

    Attributes:
        true: (M,) numbers, or class numbers.
        predicted: (M,) numbers, or (M, K) chances.
    """

    true: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True, slots=True)
class LabelReport:
    """All that was found for one label.

    Attributes:
        scores: Representation → metric → score.
        left_out: Classes that a single person has, whose windows are not evaluated.
        comparison: The encoder beside the best of the others.
        over_mean: The encoder beside predicting the mean, which needs no signal.
    """

    label: str
    task: Literal["classification", "regression"]
    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    windows: int
    subjects: int
    folds: list[FoldSize]
    scores: dict[str, dict[str, Score]]
    comparison: Comparison
    over_mean: Comparison
    label_efficiency: list[EfficiencyPoint]
    robustness: list[RobustnessPoint]
    held_out: HeldOut


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of every label, and what they were measured with and on.

    Attributes:
        missing: References that this installation cannot compute, with the remedy.
    """

    settings: EvaluationSettings
    encoder: EncoderFacts
    beside: dict[str, EncoderFacts]
    data: DataFacts
    missing: list[str]
    labels: list[LabelReport]

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and text, null for what is not defined; without the predictions."""
        return {
            "windows": self.data.windows,
            "refused": self.data.refused,
            "settings": self.settings.model_dump(mode="json"),
            "encoder": _plain(asdict(self.encoder)),
            "beside": {name: _plain(asdict(facts)) for name, facts in self.beside.items()},
            "data": _plain(asdict(self.data)),
            "missing": self.missing,
            "labels": [_label_json(report) for report in self.labels],
        }


def _label_json(report: LabelReport) -> dict[str, Any]:
    fields = asdict(report)
    del fields["held_out"]
    return _plain(fields)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return finite(value)
