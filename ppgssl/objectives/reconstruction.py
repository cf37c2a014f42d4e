"""Reconstruct the denoised window: the reference objective.

The terms are weighted by the config; their weights sum to 1.
"""

from jaxtyping import Float
from torch import Tensor

from ppgssl import losses
from ppgssl.config import LossConfig
from ppgssl.objectives.terms import LossTerms

Windows = Float[Tensor, "B C T"]


def reconstruction_terms(output: Windows, targets: Windows, config: LossConfig) -> LossTerms:
    """MSE, structural dissimilarity and spectral distance to the denoised window."""
    parts = {
        "mse": losses.mse(output, targets),
        "ssim": losses.ssim(output, targets, window_size=config.ssim_window_size),
        "fft": losses.fft(output, targets),
    }
    total = (
        config.mse_weight * parts["mse"]
        + config.ssim_weight * parts["ssim"]
        + config.fft_weight * parts["fft"]
    )
    return LossTerms(total, parts)
