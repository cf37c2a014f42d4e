"""Reconstruct the denoised window from its embedding: the reference objective.

The terms are weighted by the config; their weights sum to 1. It draws no random numbers.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ppgssl import losses
from ppgssl.config import LossConfig
from ppgssl.models.autoencoder import Autoencoder, Reconstruction

Windows = Float[Tensor, "B C T"]


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The loss to minimise and what it is made of, on the device, gradients attached."""

    total: Float[Tensor, ""]
    parts: dict[str, Float[Tensor, ""]]

    def detached(self) -> dict[str, Float[Tensor, ""]]:
        """`total` and the parts by name, without gradients and still on the device."""
        return {"total": self.total.detach()} | {k: v.detach() for k, v in self.parts.items()}


class ReconstructionObjective(nn.Module):
    """MSE, structural dissimilarity and spectral distance to the denoised window."""

    def __init__(self, model: Autoencoder, config: LossConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def forward(self, windows: Windows, targets: Windows) -> LossTerms:
        """Loss terms of a batch, each the mean over its windows."""
        return self.compare(self.model(windows), targets)

    def compare(self, reconstruction: Reconstruction, targets: Windows) -> LossTerms:
        """Loss terms of a reconstruction that is already there."""
        output, config = reconstruction.output, self.config
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
