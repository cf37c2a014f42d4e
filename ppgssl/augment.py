"""Label-free augmentations of PPG windows, batched on the device.

Each is a pure function of windows and of one number per window, which `ppgssl.views` draws.
Geometry (shift, stretch, gain) moves input and target alike, or the task would ask for what the
input does not say; corruption (wander, noise, motion, ...) touches the input only.

Axes used in this file:
    B  windows    C  channels    T  samples
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Windows = Float[Tensor, "B C T"]
PerWindow = Float[Tensor, " B"]

DRIFT_BAND_HZ = (0.01, 1.5)  # what is slower than windows, and not above the pulse
MOTION_BAND_HZ = (0.3, 5.0)  # of limbs
PULSE_BAND_HZ = (0.5, 8.0)  # where a pulse wave's power lies
SNR_RANGE_DB = (0.0, 40.0)  # estimates outside say only "all noise" or "none"


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


def add_drift(
    windows: Windows,
    noise: Windows,
    *,
    fs_hz: float,
    steepness: PerWindow,
    amplitude: PerWindow,
) -> Windows:
    """Add noise below 1.5 Hz whose spectrum falls with the frequency, as recorded baselines do.

    Args:
        windows: What it is added to.
        noise: White, of the same shape.
        fs_hz: Sampling rate, Hz.
        steepness: The drift's amplitude falls with this power of the frequency.
        amplitude: Its standard deviation, in the window's unit.
    """
    frequency = torch.fft.rfftfreq(windows.shape[-1], 1 / fs_hz, device=windows.device)
    low, high = DRIFT_BAND_HZ
    kept = (frequency > low) & (frequency < high)
    share = frequency.clamp_min(low) ** -steepness[:, None, None] * kept
    drift = torch.fft.irfft(torch.fft.rfft(noise) * share, windows.shape[-1])
    unit = drift / drift.std(-1, keepdim=True).clamp_min(1e-6)
    return windows + amplitude[:, None, None] * unit


def estimate_snr_db(windows: Windows, *, fs_hz: float) -> PerWindow:
    """The window's own signal-to-noise ratio, dB: power in 0.5-8 Hz against power above.

    Noise inside the band counts as signal, so this is an upper bound for broadband noise. Clamped
    to 0-40 dB. Below 16 Hz of sampling rate nothing lies above the band: 40 dB.
    """
    power = torch.fft.rfft(windows.float()).abs().square().mean(1)
    frequency = torch.fft.rfftfreq(windows.shape[-1], 1 / fs_hz, device=windows.device)
    low, high = PULSE_BAND_HZ
    signal = (power * ((frequency >= low) & (frequency <= high))).sum(-1)
    noise = (power * (frequency > high)).sum(-1)
    tiny = torch.finfo(torch.float32).tiny
    return (10 * torch.log10((signal + tiny) / (noise + tiny))).clamp(*SNR_RANGE_DB)


def add_noise(windows: Windows, noise: Windows, *, snr_db: PerWindow) -> Windows:
    """Add `noise`, scaled so that the window's variance lies `snr_db` above it."""
    noise_power = noise.var(dim=(1, 2), unbiased=False)
    wanted_power = windows.var(dim=(1, 2), unbiased=False) / 10 ** (snr_db / 10)
    return windows + noise * (wanted_power / noise_power).sqrt()[:, None, None]


def stretch(windows: Windows, speed: PerWindow) -> Windows:
    """Play each window faster (above 1) or slower, as long as before.

    A faster window starts again when it is through. Samples are interpolated linearly.
    """
    num_samples = windows.shape[-1]
    position = speed[:, None] * torch.arange(num_samples, device=windows.device)
    return sample_at(windows, position % (num_samples - 1))


def sample_at(windows: Windows, position: Float[Tensor, "B T"]) -> Windows:
    """The windows at positions between their samples, interpolated linearly."""
    before = position.floor().clamp(0, windows.shape[-1] - 2)
    share = (position - before)[:, None]
    index = before.long()[:, None].expand_as(windows)
    return windows.gather(-1, index) * (1 - share) + windows.gather(-1, index + 1) * share


def low_pass(windows: Windows, cutoff_hz: PerWindow, *, fs_hz: float) -> Windows:
    """Remove what lies above each window's cutoff, as a slower sensor would."""
    frequency = torch.fft.rfftfreq(windows.shape[-1], 1 / fs_hz, device=windows.device)
    kept = frequency <= cutoff_hz[:, None, None]
    return torch.fft.irfft(torch.fft.rfft(windows) * kept, windows.shape[-1])


def band_limited(noise: Windows, *, fs_hz: float) -> Windows:
    """Noise with the power of motion only, of unit deviation."""
    low, high = MOTION_BAND_HZ
    frequency = torch.fft.rfftfreq(noise.shape[-1], 1 / fs_hz, device=noise.device)
    kept = (frequency >= low) & (frequency <= high)
    motion = torch.fft.irfft(torch.fft.rfft(noise) * kept, noise.shape[-1])
    return motion / motion.std(-1, keepdim=True).clamp_min(1e-6)


def hold(windows: Windows, start: Int[Tensor, " B"], length: Int[Tensor, " B"]) -> Windows:
    """Repeat the sample at `start` for `length` samples, as a sensor does that lost contact."""
    inside = is_inside(windows.shape[-1], start, length)
    held = windows.gather(-1, start[:, None, None].expand(-1, windows.shape[1], 1))
    return torch.where(inside[:, None], held, windows)


def is_inside(
    num_samples: int, start: Int[Tensor, " B"], length: Int[Tensor, " B"]
) -> Bool[Tensor, "B {num_samples}"]:
    """Which samples lie in the stretch of each window."""
    at = torch.arange(num_samples, device=start.device)
    return (at >= start[:, None]) & (at < (start + length)[:, None])


def breathe(
    windows: Windows,
    *,
    fs_hz: float,
    rate_bpm: PerWindow,
    phase: PerWindow,
    rate_change: PerWindow,
    amplitude_change: PerWindow,
) -> tuple[Windows, Windows]:
    """Let breathing modulate clean windows: their beats come earlier and later, higher and lower.

    Args:
        windows: Clean windows, without a baseline.
        fs_hz: Their rate.
        rate_bpm: Breaths per minute.
        phase: Of the first breath, radians.
        rate_change: Largest change of the heart rate, as a share of it.
        amplitude_change: Largest change of the amplitude, as a share of it.

    Returns:
        The modulated windows, and the breathing itself (a sine), to be added as a baseline.
    """
    num_samples = windows.shape[-1]
    angular_hz = 2 * math.pi * rate_bpm[:, None] / 60
    time_s = torch.arange(num_samples, device=windows.device) / fs_hz
    angle = angular_hz * time_s + phase[:, None]
    delay_s = rate_change[:, None] / angular_hz * torch.cos(angle)
    moved = sample_at(windows, ((time_s + delay_s) * fs_hz).clamp(0, num_samples - 1))
    breath = torch.sin(angle)[:, None]
    return moved * (1 + amplitude_change[:, None, None] * breath), breath
