"""What is left of a probe's score when the windows it is tested on are corrupted.

The probe is fitted on clean windows and never sees a corrupted one before it is tested.

Axes used in this file:
    N  windows    T  samples    D  width of the features
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from ppgssl.evaluation.probes import Probe, predict_held_out
from ppgssl.evaluation.scores import Score, score
from ppgssl.evaluation.targets import Target
from ppgssl.signal.quality import fill_gaps
from ppgssl.signal.resample import resample

NOISE_DB = 10.0
GAIN = 10.0
WRIST_HZ = 64.0  # the rate of the Empatica E4
GAP_S = 0.2
GAPS_PER_S = 0.5  # with GAP_S: a tenth of the samples is lost

Signals = Float[np.ndarray, "N T"]
Features = Float[np.ndarray, "N D"]
Represent = Callable[[Signals, float], Features]
"""From windows and their rate, Hz, to features."""
Corrupt = Callable[[Signals, float, np.random.Generator], tuple[Signals, float]]
"""From windows and their rate, Hz, to what another recorder would have given, and its rate."""


@dataclass(frozen=True, slots=True)
class RobustnessPoint:
    """A probe's score on corrupted windows, and its ratio to the clean score."""

    condition: str
    representation: str
    metric: str
    score: Score
    ratio_to_clean: float


def corrupted_features(
    represent: Mapping[str, Represent], signal: Signals, fs_hz: float, *, seed: int
) -> Iterator[tuple[str, dict[str, Features]]]:
    """Condition by condition, every representation's features of the corrupted windows."""
    generator = np.random.default_rng(seed)
    for condition, corrupt in CORRUPTIONS.items():
        corrupted, rate_hz = corrupt(signal, fs_hz, generator)
        yield condition, {name: of(corrupted, rate_hz) for name, of in represent.items()}


def score_corrupted(
    target: Target,
    probes: Mapping[str, Sequence[Probe]],
    clean: Mapping[str, Mapping[str, Score]],
    corrupted: Mapping[str, Mapping[str, Features]],
    *,
    seed: int,
) -> list[RobustnessPoint]:
    """Score probes that were fitted on clean windows on corrupted ones of held-out subjects.

    Args:
        target: What they predict.
        probes: Of each representation, one per fold of the target.
        clean: Of each representation, its scores on the clean windows.
        corrupted: Of each condition and representation, the features of all windows.
        seed: Of the bootstrap.
    """
    metric_name, metric = next(iter(target.metrics.items()))
    points: list[RobustnessPoint] = []
    for condition, features in corrupted.items():
        for name, matrix in features.items():
            predicted = predict_held_out(probes[name], matrix[target.rows], target.folds)
            found = score(
                lambda weights, predicted=predicted: metric(target.values, predicted, weights),
                target.subjects,
                seed=seed,
            )
            ratio = found.value / clean[name][metric_name].value
            points.append(RobustnessPoint(condition, name, metric_name, found, ratio))
    return points


def _with_noise(
    signal: Signals, fs_hz: float, generator: np.random.Generator
) -> tuple[Signals, float]:
    """White noise, 10 dB below each window's own power without its mean."""
    deviation = signal.std(axis=1, keepdims=True) * 10 ** (-NOISE_DB / 20)
    noise = generator.standard_normal(signal.shape, dtype=np.float32)
    return (signal + deviation * noise).astype(np.float32), fs_hz


def _amplified(signal: Signals, fs_hz: float, _: np.random.Generator) -> tuple[Signals, float]:
    return signal * np.float32(GAIN), fs_hz


def _inverted(signal: Signals, fs_hz: float, _: np.random.Generator) -> tuple[Signals, float]:
    return -signal, fs_hz


def _at_half_the_rate(
    signal: Signals, fs_hz: float, _: np.random.Generator
) -> tuple[Signals, float]:
    return resample(signal, fs_hz, fs_hz / 2), fs_hz / 2


def _at_the_wrist_s_rate(
    signal: Signals, fs_hz: float, _: np.random.Generator
) -> tuple[Signals, float]:
    return resample(signal, fs_hz, WRIST_HZ), WRIST_HZ


def _with_gaps(
    signal: Signals, fs_hz: float, generator: np.random.Generator
) -> tuple[Signals, float]:
    """Gaps of 0.2 s, a tenth of the samples, filled as preparation fills them: linearly."""
    num_windows, num_samples = signal.shape
    gap = max(1, round(GAP_S * fs_hz))
    num_gaps = max(1, round(GAPS_PER_S * num_samples / fs_hz))
    stretches = np.linspace(1, num_samples - 1, num_gaps + 1)  # one gap in each; the ends stay
    room = np.maximum(np.diff(stretches) - gap - 1, 0)
    starts = stretches[:-1] + generator.random((num_windows, num_gaps)) * room
    lost = (starts[:, :, None].astype(int) + np.arange(gap)).reshape(num_windows, -1)
    broken = signal.astype(np.float32)
    np.put_along_axis(broken, np.minimum(lost, num_samples - 2), np.nan, axis=1)
    return np.stack([fill_gaps(window, fs_hz) for window in broken]).astype(np.float32), fs_hz


CORRUPTIONS: Mapping[str, Corrupt] = MappingProxyType(
    {
        f"noise {NOISE_DB:g} dB": _with_noise,
        f"gain x{GAIN:g}": _amplified,
        "inverted": _inverted,
        "half the rate": _at_half_the_rate,
        f"{WRIST_HZ:g} Hz": _at_the_wrist_s_rate,
        "dropped samples": _with_gaps,
    }
)
