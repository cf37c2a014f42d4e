"""What an encoder is trained for: the terms that the config weighs above zero, joined.

    views ──► model ──► output ─────────► reconstruction of the denoised window
                    └─► segment vectors ─► spectrum, pulse rate, decorrelation
                    └─► embedding ───────► breathing, nearby contrast (pieces)

Only the encoder is kept. Nothing here draws random numbers.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ppgssl.config import Config
from ppgssl.models.autoencoder import Autoencoder, Reconstruction
from ppgssl.models.encoder import Windows, standardise
from ppgssl.models.lean_autoencoder import can_reconstruct, reconstruct
from ppgssl.objectives.decorrelation import decorrelation
from ppgssl.objectives.nearby import NearbyContrast
from ppgssl.objectives.pulses import (
    PULSE_BAND_HZ,
    Pulses,
    band_pass,
    measure_pulses,
    split_samples,
)
from ppgssl.objectives.rates import BREATHING, PULSE, rate_distance, without_rates
from ppgssl.objectives.reconstruction import reconstruction_terms
from ppgssl.objectives.spectrum import SpectrumPrediction
from ppgssl.objectives.terms import LossTerms
from ppgssl.views import Views

RECONSTRUCTION_TERMS = ("mse", "ssim", "fft")
TERMS = ("spectrum", "pulse_rate", "breathing", "nearby", "decorrelation")


class Heads(nn.Module):
    """What predicts from the embedding, in training only."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, fs_hz = config.model.latent_dim, config.data.fs_hz
        self.spectrum = SpectrumPrediction(width, fs_hz)
        self.nearby = NearbyContrast(width, temperature=config.objective.nearby_temperature)


class PretrainingObjective(nn.Module):
    """The model that is trained, the heads that only training needs, and their loss.

    Args:
        model: What is trained.
        config: Weighs the terms.
        keep_activations: Keep what the backward pass needs; otherwise most of it is computed again.
    """

    def __init__(
        self, model: Autoencoder, config: Config, *, keep_activations: bool = True
    ) -> None:
        super().__init__()
        self.model = model
        self.keep_activations = keep_activations
        self.compiled: Callable[[Tensor], Reconstruction] | None = None
        self.compiled_shape: torch.Size | None = None
        self.loss = config.loss
        self.weights = config.objective
        self.fs_hz = config.data.fs_hz
        self.heads = Heads(config)

    @property
    def term_names(self) -> tuple[str, ...]:
        """What `compare` may give, in its order; views without pieces have no `nearby`."""
        weighed = (name for name in TERMS if getattr(self.weights, f"{name}_weight"))
        return ("total", *RECONSTRUCTION_TERMS, *weighed)

    def forward(self, views: Views) -> LossTerms:
        """Loss terms of a batch of views."""
        return self.compare(self._reconstruct(views.inputs), views)

    def _reconstruct(self, inputs: Windows) -> Reconstruction:
        if self.compiled is not None and inputs.shape == self.compiled_shape:
            return self.compiled(inputs)
        if can_reconstruct(self.model, inputs):
            return reconstruct(self.model, inputs, keep=self.keep_activations)
        return self.model(inputs)

    def compare(self, code: Reconstruction, views: Views) -> LossTerms:
        """Loss terms of a forward pass that was made already."""
        weights = self.weights
        reconstruction = reconstruction_terms(code.output, views.targets, self.loss)
        total = weights.reconstruction_weight * reconstruction.total
        parts = dict(reconstruction.parts)
        for name, value in self._embedding_terms(code, views).items():
            total = total + getattr(weights, f"{name}_weight") * value
            parts[name] = value
        return LossTerms(total, parts)

    def _embedding_terms(self, code: Reconstruction, views: Views) -> dict[str, Float[Tensor, ""]]:
        """The terms that are weighed and that these views can be asked for."""
        weights, terms = self.weights, dict[str, Float[Tensor, ""]]()
        clean = standardise(views.clean.float())
        segment_samples = self._segment_samples(clean.shape[-1])
        segments = split_samples(clean, segment_samples)
        vectors = code.segments[:, : segments.shape[1]].flatten(0, 1)
        if weights.spectrum_weight:
            pulse = band_pass(clean, self.fs_hz, *PULSE_BAND_HZ)
            samples = split_samples(pulse, segment_samples).flatten(0, 1)
            terms["spectrum"] = self.heads.spectrum(vectors, standardise(samples))
        if weights.pulse_rate_weight or weights.breathing_weight:
            pulses = measure_pulses(
                clean,
                views.recorded[:, 0],
                self.fs_hz,
                segment_samples=segment_samples,
                token_samples=self.model.encoder.stride,
            )
            moments = self.model.encoder.moments_of(code.surroundings)
            if weights.pulse_rate_weight:
                terms["pulse_rate"] = _pulse_distance(moments, vectors, pulses)
            if weights.breathing_weight:
                terms["breathing"] = _breathing_distance(moments, code.embedding, pulses, views)
        if weights.nearby_weight and len(views) > views.num_windows > 1:
            terms["nearby"] = self.heads.nearby(code.embedding, views.origin)
        if weights.decorrelation_weight:
            terms["decorrelation"] = decorrelation(without_rates(vectors))
        return terms

    def _segment_samples(self, window_samples: int) -> int:
        tokens = self.model.encoder.segment_tokens
        return window_samples if tokens is None else tokens * self.model.encoder.stride


def _pulse_distance(
    moments: Float[Tensor, "B N D"], vectors: Float[Tensor, "M D"], pulses: Pulses
) -> Float[Tensor, ""]:
    """Of what segments say to their rate, and of what each moment says to the rate around it."""
    of_segments = rate_distance(vectors, pulses.rate_bpm.flatten(), pulses.trust.flatten(), PULSE)
    local_bpm, trust = pulses.local_bpm.flatten(), pulses.local_trust.flatten()
    return of_segments + rate_distance(moments.flatten(0, 1), local_bpm, trust, PULSE)


def _breathing_distance(
    moments: Float[Tensor, "B N D"], embedding: Float[Tensor, "B D"], pulses: Pulses, views: Views
) -> Float[Tensor, ""]:
    """Of what windows and each of their moments say to what was measured, or imposed for sure."""
    imposed = views.breathing_bpm.isfinite()
    rate_bpm = torch.where(imposed, views.breathing_bpm, pulses.breathing_bpm)
    trust = torch.where(imposed, 1.0, pulses.breathing_trust)
    of_windows = rate_distance(embedding, rate_bpm, trust, BREATHING)
    at_each, trust_at_each = (x.repeat_interleave(moments.shape[1]) for x in (rate_bpm, trust))
    return of_windows + rate_distance(moments.flatten(0, 1), at_each, trust_at_each, BREATHING)
