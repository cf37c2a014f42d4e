"""What a token can read off the spectra around it: 10 s of pulse, 32 s of breathing.

Convolutions of stride 2 see where a beat is long before they can count beats. The log power of a
band says how fast the pulse goes whatever its phase and polarity, and the embedding, a mean over
tokens, needs no more than that of a rate.

Axes used in this file:
    B  windows    C  channels    T  samples    N  tokens    L  samples of a series
    F  frequencies    K  taps    D  channels of a token
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ppgssl.models.channel_norm import ChannelNorm
from ppgssl.models.pooling import divide_up

PULSE_BAND_HZ, PULSE_FREQUENCIES, PULSE_SECONDS = (0.5, 8.0), 96, 10.0
BREATHING_BAND_HZ, BREATHING_FREQUENCIES, BREATHING_SECONDS = (0.08, 0.7), 40, 32.0
PULSE_SAMPLES_PER_TOKEN = 8  # 31 Hz by default: enough for 8 Hz
BREATHING_TOKENS = 3  # whose samples make one measurement of the baseline: 0.8 s, about a beat
POWER_FLOOR = 1e-4  # of a standardised window's: what lies below is silence
VARIANCE_FLOOR = 1e-6
MEAN_LOG_POWER, SPREAD_LOG_POWER = -5.0, 2.5  # of standardised windows


class SpectralPath(nn.Module):
    """Spectra around each token, of the pulse and of what breathing moves, mixed by a small MLP."""

    def __init__(self, in_channels: int, stride: int, fs_hz: float, channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.pool = max(1, stride // PULSE_SAMPLES_PER_TOKEN)
        self.pulse = Spectrum(
            PULSE_BAND_HZ, PULSE_FREQUENCIES, PULSE_SECONDS, fs_hz / self.pool, stride // self.pool
        )
        self.breathing = Spectrum(
            BREATHING_BAND_HZ, BREATHING_FREQUENCIES, BREATHING_SECONDS, fs_hz / stride, step=1
        )
        features = in_channels * (PULSE_FREQUENCIES + 2 * BREATHING_FREQUENCIES)
        hidden = max(1, channels // 2)
        self.mix = nn.Sequential(
            nn.Conv1d(features, hidden, 1, bias=False),
            ChannelNorm(hidden),
            nn.ReLU(inplace=True),
            nn.Conv1d(hidden, hidden, 1, bias=False),
            ChannelNorm(hidden),
            nn.ReLU(inplace=True),
            nn.Conv1d(hidden, channels, 1),
        )

    def forward(self, windows: Float[Tensor, "B C T"]) -> Float[Tensor, "B D N"]:
        """One vector per token, N = ceil(T / stride)."""
        num_samples = windows.shape[-1]
        whole = divide_up(num_samples, self.stride) * self.stride
        padded = F.pad(windows, (0, whole - num_samples))
        pulse = self.pulse(F.avg_pool1d(padded, self.pool))
        mean, deviation = self.measure_baseline(padded)
        spectra = (pulse, self.breathing(mean), self.breathing(deviation))
        return self.mix(torch.cat(spectra, dim=1))

    def measure_baseline(
        self, padded: Float[Tensor, "B C T"]
    ) -> tuple[Float[Tensor, "B C N"], Float[Tensor, "B C N"]]:
        """Mean and deviation of the samples around each token: baseline and amplitude."""
        around = BREATHING_TOKENS * self.stride
        margin = (BREATHING_TOKENS // 2) * self.stride
        mean, square = (
            F.avg_pool1d(x, around, self.stride, margin) for x in (padded, padded.square())
        )
        return mean, (square - mean.square()).clamp_min(VARIANCE_FLOOR).sqrt()


class Spectrum(nn.Module):
    """Log power at evenly spaced frequencies, in a Hann window around every `step`-th sample."""

    sines: Tensor

    def __init__(
        self,
        band_hz: tuple[float, float],
        frequencies: int,
        seconds: float,
        fs_hz: float,
        step: int,
    ) -> None:
        super().__init__()
        self.step = step
        self.taps = 2 * round(seconds * fs_hz / 2) + 1
        self.register_buffer("sines", hann_sines(band_hz, frequencies, self.taps, fs_hz), False)

    def forward(self, series: Float[Tensor, "B C L"]) -> Float[Tensor, "B F N"]:
        """The channels' spectra one after the other; L is N times `step`."""
        centre, half = self.step // 2, self.taps // 2
        padded = F.pad(series, (half - centre, half + centre - self.step + 1))
        waves = F.conv1d(padded.flatten(0, 1)[:, None], self.sines, stride=self.step)
        cosine, sine = waves.float().chunk(2, dim=1)
        power = (cosine.square() + sine.square() + POWER_FLOOR).log()
        standard = (power - MEAN_LOG_POWER) / SPREAD_LOG_POWER
        return standard.unflatten(0, series.shape[:2]).flatten(1, 2)


def hann_sines(
    band_hz: tuple[float, float], frequencies: int, taps: int, fs_hz: float
) -> Float[Tensor, "{2*frequencies} 1 K"]:
    """Cosines, then sines, under a Hann window; a sine of amplitude 1 gives a power of 1."""
    hz = torch.linspace(*band_hz, frequencies)
    at_s = (torch.arange(taps) - taps // 2) / fs_hz
    angle = 2 * math.pi * hz[:, None] * at_s
    window = torch.hann_window(taps, periodic=False)
    waves = torch.cat([angle.cos(), angle.sin()]) * window * (2 / window.sum())
    return waves[:, None]
