"""What a frozen encoder is worth on labelled windows, beside what needs no training of its own.

Every representation is probed on the same windows and the same folds; none of them is trained.

Axes used in this file:
    N  windows    T  samples    D  width of the features    M  windows that have a label
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float

from ppgssl.errors import InputError
from ppgssl.evaluation.features import log_spectrum
from ppgssl.evaluation.label_efficiency import label_efficiency
from ppgssl.evaluation.labelled import LabelledWindows
from ppgssl.evaluation.probes import Probe, fit_folds, predict_held_out
from ppgssl.evaluation.references import (
    REFERENCE_NAMES,
    classical_estimates,
    missing_references,
    reference_features,
)
from ppgssl.evaluation.results import (
    ENCODER,
    MEAN,
    Comparison,
    DataFacts,
    EncoderFacts,
    Evaluation,
    FoldSize,
    HeldOut,
    LabelReport,
    Verdict,
)
from ppgssl.evaluation.robustness import CORRUPTIONS, corrupted_features, score_corrupted
from ppgssl.evaluation.scores import Metric, Score, score
from ppgssl.evaluation.settings import EvaluationSettings
from ppgssl.evaluation.targets import Target, choose_targets
from ppgssl.inference.encoder import PpgEncoder
from ppgssl.models.effective_rank import effective_rank
from ppgssl.signal.resample import resample

LOG_SPECTRUM = "log_spectrum"
COMPARED_CLOSELY = (
    ENCODER,
    LOG_SPECTRUM,
)  # under corruption, and with few people, where it has MEAN
RESERVED_NAMES = frozenset({ENCODER, MEAN, *REFERENCE_NAMES})
SMALLER_IS_BETTER = frozenset({"mae"})

# Shares of the time that the stages before the probes take, as measured on BIDMC.
EMBEDDED, REFERENCED, CORRUPTED = 0.08, 0.2, 0.6

Features = Float[np.ndarray, "N D"]
Progress = Callable[[str, float], None]
"""Told what is being done, and the share that is done already, 0 to 1."""


def evaluate(
    encoder: PpgEncoder,
    data: LabelledWindows,
    settings: EvaluationSettings | None = None,
    *,
    beside: Mapping[str, PpgEncoder] = MappingProxyType({}),
    progress: Progress = lambda _stage, _share: None,
) -> Evaluation:
    """Probe an encoder's embeddings and what they have to be held against.

    Args:
        encoder: The frozen encoder.
        data: Labelled windows; those that cannot be embedded are counted and left out.
        settings: What to evaluate; None is everything.
        beside: Further encoders by the names that they have in the report.
        progress: Told of every stage. What it raises ends the evaluation.

    Raises:
        InputError: A label is unknown or cannot be probed, or there is none; or a name in `beside`
            is taken.
    """
    settings = settings or EvaluationSettings()
    _check_names(beside)
    usable = data.take(_embeddable(encoder, data))
    targets = choose_targets(usable, settings.labels)
    features, missing = _all_features(encoder, beside, usable, settings, progress)
    corrupted = _corrupt(encoder, usable, settings, progress) if settings.robustness else {}
    reports: list[LabelReport] = []
    for number, target in enumerate(targets):
        progress(f"probing {target.name}", CORRUPTED + (1 - CORRUPTED) * number / len(targets))
        estimates = _estimates(target, usable) if settings.references else {}
        reports.append(_probe(target, features, estimates, corrupted, settings))
    progress("done", 1.0)
    return Evaluation(
        settings=settings,
        encoder=_encoder_facts(encoder, features[ENCODER]),
        beside={name: _encoder_facts(other, features[name]) for name, other in beside.items()},
        data=_data_facts(usable, refused=len(data.signal) - len(usable.signal)),
        missing=missing,
        labels=reports,
    )


def _check_names(beside: Mapping[str, PpgEncoder]) -> None:
    for name in beside:
        if name in RESERVED_NAMES:
            raise InputError(f"an encoder beside cannot be called {name!r}, which has a meaning")


def _embeddable(encoder: PpgEncoder, data: LabelledWindows) -> np.ndarray:
    faults = [encoder.find_fault(window, data.fs_hz) for window in data.signal]
    return np.flatnonzero([fault is None for fault in faults])


def _all_features(
    encoder: PpgEncoder,
    beside: Mapping[str, PpgEncoder],
    data: LabelledWindows,
    settings: EvaluationSettings,
    progress: Progress,
) -> tuple[dict[str, Features], list[str]]:
    """Every representation's features of the windows, and the references that are missing."""
    progress(f"embedding {len(data.signal)} windows", 0.0)
    features = {ENCODER: encoder.embed(data.signal, data.fs_hz).embedding}
    progress("computing the references", EMBEDDED)
    if settings.references:
        references = reference_features(
            data.signal, data.fs_hz, encoder=encoder, seed=settings.seed
        )
    else:
        references = {LOG_SPECTRUM: log_spectrum(data.signal, data.fs_hz)}
    references[MEAN] = np.zeros((len(data.signal), 1), dtype=np.float32)
    for name, other in beside.items():
        features[name] = other.embed(data.signal, data.fs_hz).embedding
    return features | references, missing_references() if settings.references else []


def _corrupt(
    encoder: PpgEncoder, data: LabelledWindows, settings: EvaluationSettings, progress: Progress
) -> dict[str, dict[str, Features]]:
    def spectrum(signal: np.ndarray, fs_hz: float) -> Features:
        at_known_rate = resample(signal, fs_hz, data.fs_hz)[:, : data.signal.shape[1]]
        return log_spectrum(at_known_rate, data.fs_hz)

    def embedding(signal: np.ndarray, fs_hz: float) -> Features:
        return encoder.embed(signal, fs_hz).embedding

    represent = {
        ENCODER: embedding,
        LOG_SPECTRUM: spectrum,
    }
    corrupted: dict[str, dict[str, Features]] = {}
    for condition, features in corrupted_features(
        represent, data.signal, data.fs_hz, seed=settings.seed
    ):
        corrupted[condition] = features
        done = len(corrupted) / len(CORRUPTIONS)
        progress(f"embedded under {condition}", REFERENCED + (CORRUPTED - REFERENCED) * done)
    return corrupted


def _estimates(target: Target, data: LabelledWindows) -> dict[str, np.ndarray]:
    return classical_estimates(target.name, data.signal[target.rows], data.fs_hz)


def _probe(
    target: Target,
    features: Mapping[str, Features],
    estimates: Mapping[str, np.ndarray],
    corrupted: Mapping[str, Mapping[str, Features]],
    settings: EvaluationSettings,
) -> LabelReport:
    """Fit each representation's probes once; score them clean, corrupted, and with few people."""
    own = {name: matrix[target.rows] for name, matrix in features.items()}
    probes: dict[str, Sequence[Probe]] = {
        name: fit_folds(target.fit, matrix, target.values, target.subjects, target.folds)
        for name, matrix in own.items()
    }
    predicted = {
        name: predict_held_out(probes[name], matrix, target.folds) for name, matrix in own.items()
    } | dict(estimates)
    scores = {name: _scores(target, values, settings.seed) for name, values in predicted.items()}
    compared = {name: own[name] for name in (*COMPARED_CLOSELY, MEAN)}
    return LabelReport(
        label=target.name,
        task=target.task,
        classes=target.classes,
        left_out=target.left_out,
        windows=len(target.rows),
        subjects=len(np.unique(target.subjects)),
        folds=_fold_sizes(target),
        scores=scores,
        comparison=_compare(target, predicted, _best_other(target, scores), settings.seed),
        over_mean=_compare(target, predicted, MEAN, settings.seed),
        label_efficiency=label_efficiency(target, compared, seed=settings.seed)
        if settings.label_efficiency
        else [],
        robustness=score_corrupted(target, probes, scores, corrupted, seed=settings.seed),
        held_out=HeldOut(target.values, predicted[ENCODER]),
    )


def _scores(target: Target, predicted: np.ndarray, seed: int) -> dict[str, Score]:
    return {
        name: _score(target, metric, predicted, seed) for name, metric in target.metrics.items()
    }


def _score(target: Target, metric: Metric, predicted: np.ndarray, seed: int) -> Score:
    return score(lambda w: metric(target.values, predicted, w), target.subjects, seed=seed)


def _best_other(target: Target, scores: Mapping[str, Mapping[str, Score]]) -> str:
    """The representation, other than the encoder, whose first metric is best."""
    name = next(iter(target.metrics))
    others = [other for other in scores if other != ENCODER]
    return max(others, key=lambda other: _sign(name) * scores[other][name].value)


def _compare(
    target: Target, predicted: Mapping[str, np.ndarray], reference: str, seed: int
) -> Comparison:
    """The encoder beside another representation, by the first metric."""
    name, metric = next(iter(target.metrics.items()))
    own, other = predicted[ENCODER], predicted[reference]
    difference = score(
        lambda w: metric(target.values, own, w) - metric(target.values, other, w),
        target.subjects,
        seed=seed,
    )
    verdict: Verdict = "no clear difference"
    if difference.is_clear:
        verdict = "better" if _sign(name) * difference.value > 0 else "worse"
    return Comparison(reference, name, difference, verdict)


def _sign(metric: str) -> int:
    return -1 if metric in SMALLER_IS_BETTER else 1


def _fold_sizes(target: Target) -> list[FoldSize]:
    return [
        FoldSize(
            train_subjects=len(np.unique(target.subjects[fold.train])),
            train_windows=len(fold.train),
            test_subjects=len(np.unique(target.subjects[fold.test])),
            test_windows=len(fold.test),
        )
        for fold in target.folds
    ]


def _encoder_facts(encoder: PpgEncoder, embeddings: Features) -> EncoderFacts:
    info = encoder.info
    return EncoderFacts(
        sha256=info.sha256,
        architecture=info.architecture.model_dump(mode="json"),
        fs_hz=info.fs_hz,
        window_samples=info.window_samples,
        embedding_dim=info.embedding_dim,
        training=info.training,
        effective_rank=effective_rank(torch.from_numpy(embeddings)),
    )


def _data_facts(data: LabelledWindows, *, refused: int) -> DataFacts:
    return DataFacts(
        name=data.name,
        fs_hz=data.fs_hz,
        window_seconds=data.signal.shape[1] / data.fs_hz,
        windows=len(data.signal),
        subjects=len(np.unique(data.subjects)),
        refused=refused,
    )
