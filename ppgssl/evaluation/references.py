"""What an encoder is held against: features without its training, and classical estimates.

Nothing here learns from a label; probes are fitted elsewhere, alike for encoder and references.

Axes used in this file:
    N  windows    T  samples of a window    D  width of the features
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from ppgssl.evaluation.features import log_spectrum, neurokit_features, neurokit_is_installed
from ppgssl.inference.encoder import PpgEncoder
from ppgssl.models.encoder import Encoder, standardise
from ppgssl.signal.breathing import respiration_rate_bpm
from ppgssl.signal.rates import autocorrelation_rate_bpm, beat_rate_bpm, heart_rate_bpm
from ppgssl.signal.resample import resample

HEART_RATE_LABELS = ("hr_bpm", "pulse_bpm", "device_hr_bpm")
RESPIRATION_LABELS = ("resp_bpm",)
CALIBRATION_SAMPLES = 600_000  # of the batch whose statistics are taken
ESTIMATE_SAMPLES = 1_000_000  # at a time: bounds the memory of filters and spectra

Signals = Float[np.ndarray, "N T"]
Estimate = Callable[[Signals, float], np.ndarray]

HEART_RATE_ESTIMATES: dict[str, Estimate] = {
    "spectral_peak": heart_rate_bpm,
    "autocorrelation": autocorrelation_rate_bpm,
    "beats": beat_rate_bpm,
}
RESPIRATION_ESTIMATES: dict[str, Estimate] = {"modulation": respiration_rate_bpm}

REFERENCE_NAMES = frozenset(
    {
        "log_spectrum",
        "untrained",
        "untrained_calibrated",
        "neurokit",
        *HEART_RATE_ESTIMATES,
        *RESPIRATION_ESTIMATES,
    }
)
"""Every name that a reference can have, whether or not there is one for the label at hand."""


def reference_features(
    signal: Signals, fs_hz: float, *, encoder: PpgEncoder, seed: int
) -> dict[str, Float[np.ndarray, "N D"]]:
    """Features of the same windows that the encoder's training has no part in.

    Args:
        signal: Windows that the encoder does not refuse, float32, in any unit.
        fs_hz: Their rate, Hz.
        encoder: The encoder that is held against them; it gives the untrained one its shape.
        seed: Of the untrained encoder's weights.

    Returns:
        `log_spectrum`; `untrained` and `untrained_calibrated`, see `untrained_embeddings`; and
        `neurokit`, see `neurokit_features`, where NeuroKit2 is installed.
    """
    features = {"log_spectrum": log_spectrum(signal, fs_hz)} | untrained_embeddings(
        signal, fs_hz, encoder=encoder, seed=seed
    )
    if neurokit_is_installed():
        features["neurokit"] = neurokit_features(signal, fs_hz)
    return features


def missing_references() -> list[str]:
    """The references that this installation cannot compute, each with what would mend it."""
    if neurokit_is_installed():
        return []
    return ["neurokit: NeuroKit2 is not installed; pip install 'ppgssl[neurokit]'"]


def untrained_embeddings(
    signal: Signals, fs_hz: float, *, encoder: PpgEncoder, seed: int
) -> dict[str, Float[np.ndarray, "N D"]]:
    """Embeddings by random weights in the encoder's architecture, twice.

    `untrained` has the statistics of batch normalisation as initialised (mean 0, variance 1).
    `untrained_calibrated`, of the same weights, has those of up to 600,000 samples of these very
    windows, as training would leave them. Neither is the stronger one for every architecture and
    label, so that an encoder is held against both.

    Args:
        signal: Windows that the encoder does not refuse, float32, in any unit.
        fs_hz: Their rate, Hz.
        encoder: Gives architecture, segments, rate and device; its weights are not read.
        seed: Of the random weights.
    """
    info = encoder.info
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Encoder(info.architecture, info.segment_tokens, info.fs_hz)
    samples = resample(signal.astype(np.float32, copy=False), fs_hz, info.fs_hz)
    untrained = PpgEncoder(network, info, encoder.device).embed(samples).embedding
    _calibrate(network, samples)
    calibrated = PpgEncoder(network, info, encoder.device).embed(samples).embedding
    return {"untrained": untrained, "untrained_calibrated": calibrated}


@torch.no_grad()
def _calibrate(network: Encoder, samples: Signals) -> None:
    """Set the statistics of batch normalisation to those of one batch, drawn evenly."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0  # the batch's own statistics, nothing of those before
    num_windows = max(1, min(len(samples), CALIBRATION_SAMPLES // samples.shape[1]))
    evenly = np.linspace(0, len(samples) - 1, num_windows).round().astype(int)
    batch = torch.from_numpy(samples[evenly]).to(next(network.parameters()).device)
    network.train()
    network(standardise(batch)[:, None])


def classical_estimates(label: str, signal: Signals, fs_hz: float) -> dict[str, np.ndarray]:
    """A label's value by the classical ways that there are for it, one number per window.

    Args:
        label: Heart rates have `spectral_peak`, `autocorrelation` and `beats`; the respiration rate
            has `modulation`; any other label has none.
        signal: Windows, in any unit; finite.
        fs_hz: Their rate, Hz.

    Returns:
        Name of the estimate to its values (N,), all finite.
    """
    if label in HEART_RATE_LABELS:
        return _estimate(HEART_RATE_ESTIMATES, signal, fs_hz)
    if label in RESPIRATION_LABELS:
        return _estimate(RESPIRATION_ESTIMATES, signal, fs_hz)
    return {}


def _estimate(
    estimates: dict[str, Estimate], signal: Signals, fs_hz: float
) -> dict[str, np.ndarray]:
    return {
        name: np.concatenate(
            [estimate(batch, fs_hz) for batch in _batches(signal, ESTIMATE_SAMPLES)]
        )
        for name, estimate in estimates.items()
    }


def _batches(windows: Signals, limit: int) -> list[Signals]:
    """Windows in even parts of about `limit` samples, at least one window each."""
    return np.array_split(windows, min(-(-windows.size // limit), len(windows)) or 1)
