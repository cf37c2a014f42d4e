"""Label-free augmentations of PPG windows, batched on the device.

Each is a pure function of windows and of one number per window; `augment` draws those numbers from
the generator it is given. Geometry (shift, gain) moves input and target alike, or the task would
ask for what the input does not say; corruption (wander, noise) touches the input only.

Axes used in this file:
    B  windows    C  channels    T  samples
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ppgssl.config import AugmentationConfig

Windows = Float[Tensor, "B C T"]
PerWindow = Float[Tensor, " B"]

PULSE_BAND_HZ = (0.5, 8.0)  # where a pulse wave's power lies
SNR_RANGE_DB = (0.0, 40.0)  # estimates outside say only "all noise" or "none"
WANDER_FREQUENCY_SPREAD = 0.5  # the wander's frequency lies within +- this share of its centre
WANDER_AMPLITUDE = (0.1, 0.5)  # standard deviations of the window


def shift(windows: Windows, samples: Int[Tensor, " B"]) -> Windows:
    """Move each window later by `samples`; what leaves at its end enters at its start."""
    num_samples = windows.shape[-1]
    position = torch.arange(num_samples, device=windows.device)
    source = (position - samples[:, None]) % num_samples
    return windows.gather(-1, source[:, None].expand_as(windows))


def scale(windows: Windows, gain: PerWindow) -> Windows:
    """Multiply each window by its gain."""
    return windows * gain[:, None, None]


def add_baseline_wander(
    windows: Windows,
    *,
    fs_hz: float,
    frequency_hz: PerWindow,
    phase: PerWindow,
    amplitude: PerWindow,
) -> Windows:
    """Add a sine to each window: `amplitude` in the window's unit, `phase` in radians."""
    time_s = torch.arange(windows.shape[-1], device=windows.device) / fs_hz
    angle = 2 * math.pi * frequency_hz[:, None] * time_s + phase[:, None]
    return windows + (amplitude[:, None] * torch.sin(angle))[:, None]


def estimate_snr_db(windows: Windows, *, fs_hz: float) -> PerWindow:
    """The window's own signal-to-noise ratio, dB: power in 0.5-8 Hz against power above.

    Noise inside the band counts as signal, so this is an upper bound for broadband noise. Clamped
    to 0-40 dB. Below 16 Hz of sampling rate nothing lies above the band: 40 dB.
    """
    power = torch.fft.rfft(windows.float()).abs().square().mean(1)
    frequency = torch.fft.rfftfreq(windows.shape[-1], 1 / fs_hz, device=windows.device)
    low, high = PULSE_BAND_HZ
    signal = power[:, (frequency >= low) & (frequency <= high)].sum(-1)
    noise = power[:, frequency > high].sum(-1)
    tiny = torch.finfo(torch.float32).tiny
    return (10 * torch.log10((signal + tiny) / (noise + tiny))).clamp(*SNR_RANGE_DB)


def add_noise(windows: Windows, noise: Windows, *, snr_db: PerWindow) -> Windows:
    """Add `noise`, scaled so that the window's variance lies `snr_db` above it."""
    noise_power = noise.var(dim=(1, 2), unbiased=False)
    wanted_power = windows.var(dim=(1, 2), unbiased=False) / 10 ** (snr_db / 10)
    return windows + noise * (wanted_power / noise_power).sqrt()[:, None, None]


def augment(
    windows: Windows,
    targets: Windows,
    config: AugmentationConfig,
    *,
    fs_hz: float,
    generator: torch.Generator,
) -> tuple[Windows, Windows]:
    """Augment a batch of standardised windows and the targets that belong to them.

    Args:
        windows: Inputs.
        targets: Denoised windows of the same shape.
        config: Ranges and probabilities.
        fs_hz: Sampling rate, Hz.
        generator: Source of every random number, on the windows' device.

    Returns:
        New inputs and new targets; the arguments are not changed.
    """
    num_windows, num_samples = windows.shape[0], windows.shape[-1]

    def uniform(low: float, high: float) -> PerWindow:
        draw = torch.rand(num_windows, device=windows.device, generator=generator)
        return low + (high - low) * draw

    furthest = config.temporal_shift_range * num_samples
    samples = uniform(-furthest, furthest).round().long()
    gain = uniform(*config.amplitude_scale_range)
    windows, targets = scale(shift(windows, samples), gain), scale(shift(targets, samples), gain)

    spread = WANDER_FREQUENCY_SPREAD * config.baseline_wander_freq
    centre = config.baseline_wander_freq
    wanders = uniform(0.0, 1.0) < config.baseline_wander_prob
    corrupted = add_baseline_wander(
        windows,
        fs_hz=fs_hz,
        frequency_hz=uniform(centre - spread, centre + spread),
        phase=uniform(0.0, 2 * math.pi),
        amplitude=uniform(*WANDER_AMPLITUDE) * wanders,
    )

    noisy = uniform(0.0, 1.0) < config.noise_prob
    noise = torch.randn(windows.shape, device=windows.device, generator=generator)
    snr_db = config.noise_snr_ratio * estimate_snr_db(windows, fs_hz=fs_hz)
    with_noise = add_noise(corrupted, noise, snr_db=snr_db)
    return torch.where(noisy[:, None, None], with_noise, corrupted), targets
