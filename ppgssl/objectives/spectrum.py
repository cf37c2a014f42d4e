"""Predict the clean segment's spectrum from its vector.

The spectrum says how fast and of what shape the pulse is, and not where its beats are: what a
mean-pooled vector can know.

Axes used in this file:
    N  segments    D  width of their vectors    L  samples    F  bands
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

BANDS = 96
BAND_HZ = (0.4, 10.0)
FLOOR = 1e-3  # of the power of standardised samples: what lies below is silence
MEAN_LOG_POWER, SPREAD_LOG_POWER = -3.0, 2.5  # brings most targets into -2 to 2


class SpectrumPrediction(nn.Module):
    """Smooth L1 distance to the log power in 96 bands from 0.4 to 10 Hz."""

    def __init__(self, width: int, fs_hz: float) -> None:
        super().__init__()
        self.fs_hz = fs_hz
        self.predict = nn.Linear(width, BANDS)

    def forward(
        self, vectors: Float[Tensor, "N D"], clean: Float[Tensor, "N L"]
    ) -> Float[Tensor, ""]:
        """Mean over segments and bands; `clean` is standardised."""
        target = (log_spectrum(clean, self.fs_hz) - MEAN_LOG_POWER) / SPREAD_LOG_POWER
        return F.smooth_l1_loss(self.predict(vectors).float(), target)


@torch.no_grad()
def log_spectrum(samples: Float[Tensor, "N L"], fs_hz: float) -> Float[Tensor, "N F"]:
    """Log of the mean power in each band; short segments are padded so that no band is empty."""
    length = samples.shape[-1]
    padded = max(length, round(2 * fs_hz * BANDS / (BAND_HZ[1] - BAND_HZ[0])))
    window = torch.hann_window(length, device=samples.device)
    power = torch.fft.rfft(samples.float() * window, n=padded).abs().square() / length
    frequency = torch.fft.rfftfreq(padded, 1 / fs_hz, device=samples.device)
    edges = torch.linspace(*BAND_HZ, BANDS + 1, device=samples.device)
    band = torch.bucketize(frequency, edges) - 1
    # What no band has goes into one more: to leave it out, a GPU would have to count it first.
    band = torch.where((band >= 0) & (band < BANDS), band, BANDS)
    sums = power.new_zeros(len(power), BANDS + 1).index_add_(1, band, power)
    counts = power.new_zeros(BANDS + 1).index_add_(0, band, torch.ones_like(frequency))
    return torch.log(sums / counts.clamp_min(1) + FLOOR)[:, :BANDS]
