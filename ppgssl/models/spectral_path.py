"""What a token can read off the spectra around it: 10 s of pulse, 32 s of breathing.

Convolutions of stride 2 see where a beat is long before they can count beats. The log power of a
band says how fast the pulse goes whatever its phase and polarity, and the embedding, a mean over
tokens, needs no more than that of a rate.

Axes used in this file:
    B  windows    C  channels    T  samples    N  tokens    L  samples of a series
    F  frequencies    R  candidate rates    K  taps    D  channels of a token
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ppgssl.models.channel_norm import ChannelNorm
from ppgssl.models.pooling import divide_up
from ppgssl.models.rate_choice import RateChoice

PULSE_BAND_HZ, PULSE_FREQUENCIES, PULSE_SECONDS = (0.4, 8.4), 161, 10.0
PULSE_RATES_BPM, PULSE_HARMONICS, PULSE_SHARPNESS = (30.0, 220.0, 96), (1.0, 0.6, 0.4), 1.5
PULSE_SAMPLES_PER_TOKEN = 8  # 31 Hz by default: enough for 8 Hz
BREATHING_BAND_HZ, BREATHING_FREQUENCIES, BREATHING_SECONDS = (0.07, 0.75), 48, 32.0
BREATHING_RATES_BPM, BREATHING_HARMONICS, BREATHING_SHARPNESS = (5.0, 40.0, 36), (1.0,), 1.0
BREATHING_SERIES = 4  # baseline, amplitude, crests and troughs
BREATHING_TOKENS = 3  # whose samples make one measurement of the baseline: 0.8 s, about a beat
ENVELOPE_TOKENS = 4  # whose samples hold a crest and a trough, mostly: 1 s
ENVELOPE_SMOOTHING = 5  # tokens
POWER_FLOOR = 1e-4  # of a standardised window's: what lies below is silence
VARIANCE_FLOOR = 1e-6
MEAN_LOG_POWER, SPREAD_LOG_POWER = -5.0, 2.5  # of standardised windows


class SpectralPath(nn.Module):
    """Spectra around each token, of the pulse and of what breathing moves, mixed by a small MLP.

    Beside the MLP stand the rates that the spectra name by their peaks: an MLP learns to find a
    peak slowly (docs/log.md).
    """

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
        self.pulse_rate = RateChoice(
            self.pulse.frequencies_hz.repeat(in_channels),
            PULSE_RATES_BPM,
            harmonics=PULSE_HARMONICS,
            sharpness=PULSE_SHARPNESS,
        )
        self.breathing_rate = RateChoice(
            self.breathing.frequencies_hz.repeat(in_channels * BREATHING_SERIES),
            BREATHING_RATES_BPM,
            harmonics=BREATHING_HARMONICS,
            sharpness=BREATHING_SHARPNESS,
        )
        features = PULSE_FREQUENCIES + BREATHING_SERIES * BREATHING_FREQUENCIES
        hidden = max(1, channels // 2)
        self.mix = nn.Sequential(
            nn.Conv1d(in_channels * features, hidden, 1, bias=False),
            ChannelNorm(hidden),
            nn.ReLU(inplace=True),
            nn.Conv1d(hidden, hidden, 1, bias=False),
            ChannelNorm(hidden),
            nn.ReLU(inplace=True),
        )
        chosen = self.pulse_rate.features + self.breathing_rate.features
        self.join = nn.Conv1d(hidden + chosen, channels, 1)

    def forward(self, windows: Float[Tensor, "B C T"]) -> Float[Tensor, "B D N"]:
        """One vector per token, N = ceil(T / stride)."""
        pulse_series, slow_series = self.series(windows)
        pulse, breathing = self.pulse(pulse_series), self.breathing(slow_series)
        mixed = self.mix(torch.cat([pulse, breathing], dim=1))
        rates = (self.pulse_rate(pulse), self.breathing_rate(breathing))
        return self.join(torch.cat([mixed, *rates], dim=1))

    def series(
        self, windows: Float[Tensor, "B C T"]
    ) -> tuple[Float[Tensor, "B C L"], Float[Tensor, "B 4*C N"]]:
        """What the spectra are taken of: the pulse at a lower rate, and what breathing moves."""
        num_samples = windows.shape[-1]
        whole = divide_up(num_samples, self.stride) * self.stride
        padded = F.pad(windows, (0, whole - num_samples))
        return F.avg_pool1d(padded, self.pool), self.slow_series(padded)

    def slow_series(self, padded: Float[Tensor, "B C T"]) -> Float[Tensor, "B 4*C N"]:
        """What breathing moves: baseline, amplitude, crests and troughs around each token.

        Upside down, crests and troughs change places and signs; their spectra change places.
        """
        around = BREATHING_TOKENS * self.stride
        margin = (BREATHING_TOKENS // 2) * self.stride
        mean, square = (
            F.avg_pool1d(x, around, self.stride, margin) for x in (padded, padded.square())
        )
        deviation = (square - mean.square()).clamp_min(VARIANCE_FLOOR).sqrt()
        crests, troughs = self._envelope(padded), -self._envelope(-padded)
        return torch.cat([mean, deviation, crests, troughs], dim=1)

    def _envelope(self, padded: Float[Tensor, "B C T"]) -> Float[Tensor, "B C N"]:
        around = ENVELOPE_TOKENS * self.stride + 1
        highest = F.max_pool1d(padded, around, self.stride, around // 2)
        smoothed = F.avg_pool1d(highest, ENVELOPE_SMOOTHING, 1, ENVELOPE_SMOOTHING // 2)
        return smoothed[..., : padded.shape[-1] // self.stride]


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
        self.frequencies_hz = torch.linspace(*band_hz, frequencies)
        self.taps = 2 * round(seconds * fs_hz / 2) + 1
        sines = hann_sines(self.frequencies_hz, self.taps, fs_hz)
        self.register_buffer("sines", sines, persistent=False)

    def forward(self, series: Float[Tensor, "B C L"]) -> Float[Tensor, "B F N"]:
        """The channels' spectra one after the other; L is N times `step`."""
        padded = self.pad(series)
        waves = F.conv1d(padded.flatten(0, 1)[:, None], self.sines, stride=self.step)
        power = log_power(*waves.float().chunk(2, dim=1))
        return power.unflatten(0, series.shape[:2]).flatten(1, 2)

    def pad(self, series: Float[Tensor, "B C L"]) -> Float[Tensor, "B C L2"]:
        """Zeros at both ends, so that every `step` samples have a whole window around them."""
        centre, half = self.step // 2, self.taps // 2
        return F.pad(series, (half - centre, half + centre - self.step + 1))


def log_power(cosine: Float[Tensor, "*A"], sine: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
    """The log power of both parts of waves, standardised."""
    power = (cosine.square() + sine.square() + POWER_FLOOR).log()
    return (power - MEAN_LOG_POWER) / SPREAD_LOG_POWER


def hann_sines(
    frequencies_hz: Float[Tensor, " F"], taps: int, fs_hz: float
) -> Float[Tensor, "2*F 1 K"]:
    """Cosines, then sines, under a Hann window; a sine of amplitude 1 gives a power of 1."""
    at_s = (torch.arange(taps) - taps // 2) / fs_hz
    angle = 2 * math.pi * frequencies_hz[:, None] * at_s
    window = torch.hann_window(taps, periodic=False)
    waves = torch.cat([angle.cos(), angle.sin()]) * window * (2 / window.sum())
    return waves[:, None]
