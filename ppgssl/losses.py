"""Reconstruction losses as plain functions of tensors.

Each takes an output and a target of the same shape and returns one number; the mean over windows.
They draw no random numbers, keep no state and never read the config. They compute in float32 even
under autocast: half precision has no room for squared magnitudes, and cuFFT takes only powers of
two in it.

Axes used in this file:
    B  windows    C  channels    T  samples    F  frequency bins
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Windows = Float[Tensor, "B C T"]
Scalar = Float[Tensor, ""]

SSIM_SIGMA = 1.5  # samples; Wang et al. 2004
SSIM_K1, SSIM_K2 = 0.01, 0.03  # Wang et al. 2004
SSIM_DATA_RANGE = 4.0  # a pulse of unit standard deviation spans about four of them
PHASE_FLOOR = 1e-4  # of the product of two magnitudes, whose average is 1 after "ortho"


def mse(output: Windows, target: Windows) -> Scalar:
    """Mean squared error; 1 for predicting the mean of standardised targets."""
    _check(output, target)
    with torch.autocast(output.device.type, enabled=False):
        return F.mse_loss(output.float(), target.float())


def ssim(output: Windows, target: Windows, *, window_size: int = 11) -> Scalar:
    """Structural dissimilarity of one-dimensional signals: 1 - SSIM, from 0 (equal) to 2.

    Local mean, variance and covariance under a Gaussian window (sigma 1.5 samples), at every
    position where the window lies inside the signal. SSIM was made for intensities, which are not
    negative: means are raised by half the data range, or an output turned upside down would have
    both its factors negative and their product near 1.

    Args:
        output: Reconstructed windows.
        target: Windows to compare with, standardised (a data range of 4 is assumed).
        window_size: Length of the Gaussian window, samples; odd.

    Source:
        Wang et al. 2004, Image quality assessment, eq. 13, in one dimension.
    """
    _check(output, target)
    if window_size > output.shape[-1]:
        raise ValueError(f"SSIM window of {window_size} exceeds {output.shape[-1]} samples")
    with torch.autocast(output.device.type, enabled=False):
        x, y = output.float().flatten(0, 1), target.float().flatten(0, 1)
        moments = torch.stack([x, y, x * x, y * y, x * y], dim=1)
        kernel = gaussian_window(window_size, device=x.device).view(1, 1, -1).expand(5, 1, -1)
        mean_x, mean_y, mean_xx, mean_yy, mean_xy = F.conv1d(moments, kernel, groups=5).unbind(1)
        variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
        covariance = mean_xy - mean_x * mean_y
        c1, c2 = (SSIM_K1 * SSIM_DATA_RANGE) ** 2, (SSIM_K2 * SSIM_DATA_RANGE) ** 2
        level_x, level_y = mean_x + SSIM_DATA_RANGE / 2, mean_y + SSIM_DATA_RANGE / 2
        luminance = (2 * level_x * level_y + c1) / (level_x**2 + level_y**2 + c1)
        structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
        return 1 - (luminance * structure).mean()


def gaussian_window(size: int, *, device: torch.device | None = None) -> Float[Tensor, " {size}"]:
    """A Gaussian of standard deviation 1.5 samples, centred, with sum 1."""
    offset = torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2
    weight = torch.exp(-(offset**2) / (2 * SSIM_SIGMA**2))
    return weight / weight.sum()


def fft(output: Windows, target: Windows) -> Scalar:
    """Spectral distance: `spectral_magnitude` plus `spectral_phase`."""
    _check(output, target)
    with torch.autocast(output.device.type, enabled=False):
        output_bins = torch.fft.rfft(output.float(), norm="ortho")
        target_bins = torch.fft.rfft(target.float(), norm="ortho")
        return spectral_magnitude(output_bins, target_bins) + spectral_phase(
            output_bins, target_bins
        )


def spectral_magnitude(output_bins: Tensor, target_bins: Tensor) -> Scalar:
    """Mean squared difference of the magnitudes of two spectra (B, C, F)."""
    return F.mse_loss(output_bins.abs(), target_bins.abs())


def spectral_phase(output_bins: Tensor, target_bins: Tensor) -> Scalar:
    """1 - cos of the phase difference, from 0 to 2, each bin weighted by the target's magnitude.

    Unweighted, the many bins where a band-limited target holds no signal would drown the few that
    carry its beats.
    """
    weight = target_bins.abs()
    product = (output_bins * target_bins.conj()).real
    cosine = product / (output_bins.abs() * weight).clamp_min(PHASE_FLOOR)
    agreement = (weight * cosine).sum(-1) / weight.sum(-1).clamp_min(PHASE_FLOOR)
    return 1 - agreement.mean()


def explained_variance(squared_error: float, squared_deviation: float) -> float:
    """Share of the targets' variance that the outputs explain: 1 perfect, 0 predicting the mean."""
    return 1 - squared_error / squared_deviation if squared_deviation > 0 else math.nan


def _check(output: Tensor, target: Tensor) -> None:
    if output.shape != target.shape:
        raise ValueError(
            f"output and target differ in shape: {tuple(output.shape)} and {tuple(target.shape)}"
        )
