"""From a batch of windows to what the objectives learn from: augmented views.

A window is seen whole, or cut into pieces that are each other's neighbours. Every random number is
drawn here, from the generator that is given. The order: cut, breathe, stretch and shift (input and
target), corrupt (input), then gain and polarity (input and target).

Axes used in this file:
    B  views    C  channels    T  samples
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ppgssl import augment
from ppgssl.config import AugmentationConfig
from ppgssl.models.encoder import standardise

Windows = Float[Tensor, "B C T"]
PerView = Float[Tensor, " B"]

SHORTEST_TO_BREATHE_S = 15.0  # two breaths, mostly
BREATHING_BPM, BREATHING_SPREAD = 17.5, 0.35  # median, and spread of its logarithm
BREATHING_RANGE_BPM = (5.5, 42.0)
BREATHING_BASELINE = (0.02, 0.5)  # standard deviations; drawn evenly on a logarithmic scale
BREATHING_RATE_CHANGE = (0.0, 0.06)  # of the heart rate
BREATHING_AMPLITUDE_CHANGE = (0.0, 0.35)
WANDER_FREQUENCY_SPREAD = 0.5  # the wander's frequency lies within +- this share of its centre
WANDER_AMPLITUDE = (0.1, 1.0)  # standard deviations
DRIFT_STEEPNESS = (0.3, 1.8)
DRIFT_AMPLITUDE = (0.03, 0.8)  # standard deviations; drawn evenly on a logarithmic scale
LOWEST_CUTOFF_HZ = 8.0  # what the pulse needs
MOTION_SECONDS = (0.3, 3.0)
MOTION_AMPLITUDE = (0.5, 4.0)  # standard deviations
MOTION_NOISE_SHARE = 0.3  # of the noisy views have noise in the band of motion
DROPOUT_SECONDS = (0.1, 1.5)


@dataclass(frozen=True, slots=True)
class Views:
    """Views of one length.

    Attributes:
        inputs: (B, C, T) what the encoder is given.
        targets: (B, C, T) what the decoder is to make of it.
        recorded: (B, C, T) the input without corruption, the right way up: where a baseline is.
        polarity: (B,) 1, or -1 where both are upside down.
        origin: (B,) which window of the batch a view is from.
        breathing_bpm: (B,) rate of the breathing that was imposed, nan where none was.
        num_windows: How many windows they are from; fewer than views where there are pieces.
    """

    inputs: Windows
    targets: Windows
    recorded: Windows
    polarity: PerView
    origin: Int[Tensor, " B"]
    breathing_bpm: PerView
    num_windows: int

    @classmethod
    def plain(cls, windows: Windows, targets: Windows) -> "Views":
        """Each window as it is."""
        ones = torch.ones(len(windows), device=windows.device)
        origin = torch.arange(len(windows), device=windows.device)
        return cls(windows, targets, windows, ones, origin, ones * math.nan, len(windows))

    @property
    def clean(self) -> Float[Tensor, "B T"]:
        """The targets' first channel, the right way up."""
        return self.targets[:, 0] * self.polarity[:, None]

    def __len__(self) -> int:
        return len(self.inputs)


def make_views(
    windows: Windows,
    targets: Windows,
    config: AugmentationConfig,
    *,
    fs_hz: float,
    generator: torch.Generator,
) -> list[Views]:
    """Augmented views of a batch: one group of whole windows, and one of pieces where there are.

    Args:
        windows: Inputs, standardised.
        targets: Denoised windows of the same shape, standardised.
        config: Ranges and probabilities.
        fs_hz: Sampling rate, Hz.
        generator: Source of every random number, on the windows' device.
    """
    draw = Draw(generator, windows.device)
    in_pieces = len(windows) - num_whole(len(windows), windows.shape[-1] / fs_hz, config)
    whole = Views.plain(windows[in_pieces:], targets[in_pieces:])
    groups = [_augment(whole, config, fs_hz, draw)]
    if in_pieces:
        pieces = _cut(windows[:in_pieces], targets[:in_pieces], config, fs_hz, draw)
        groups.append(_augment(pieces, config, fs_hz, draw))
    return groups


class Draw:
    """Random numbers, one per view."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator = generator
        self.device = device

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> PerView:
        """Evenly between low and high."""
        share = torch.rand(count, device=self.device, generator=self.generator)
        return low + (high - low) * share

    def number(self, low: float, high: float) -> float:
        """One for all views, which the host needs: it does not wait for the device.

        Where that is not the CPU, it depends on the generator's seed alone.
        """
        on_host = self.generator
        if self.device.type != "cpu":
            on_host = torch.Generator().manual_seed(self.generator.initial_seed())
        return float(low + (high - low) * torch.rand(1, generator=on_host))

    def log_uniform(self, count: int, low: float, high: float) -> PerView:
        """Between low and high, evenly on a logarithmic scale."""
        return self.uniform(count, math.log(low), math.log(high)).exp()

    def standard(self, count: int) -> PerView:
        """Normally distributed, of unit deviation."""
        return torch.randn(count, device=self.device, generator=self.generator)

    def chance(self, count: int, probability: float) -> PerView:
        """1 with a probability, else 0."""
        return (self.uniform(count) < probability).float()

    def normal(self, like: Windows) -> Windows:
        """White noise of unit deviation."""
        return torch.randn(like.shape, device=self.device, generator=self.generator)


def num_whole(count: int, window_s: float, config: AugmentationConfig) -> int:
    """How many windows of a batch are seen whole; the others are cut into pieces."""
    holds_pieces = config.piece_seconds is not None and window_s >= 2 * config.piece_seconds[0]
    return count - count // 2 if holds_pieces else count


def _cut(
    windows: Windows, targets: Windows, config: AugmentationConfig, fs_hz: float, draw: Draw
) -> Views:
    """All pieces of a length that fit into the windows; each is standardised anew."""
    assert config.piece_seconds is not None
    shortest, longest = config.piece_seconds
    longest = min(longest, windows.shape[-1] / fs_hz / 2)
    length = round(fs_hz * draw.number(shortest, longest))
    count = windows.shape[-1] // length
    origin = torch.arange(len(windows), device=windows.device).repeat_interleave(count)

    def pieces(x: Windows) -> Windows:
        cut = x[..., : count * length].unflatten(-1, (count, length))
        return standardise(cut.transpose(1, 2).flatten(0, 1))

    plain = Views.plain(pieces(windows), pieces(targets))
    return replace(plain, origin=origin, num_windows=len(windows))


def _augment(views: Views, config: AugmentationConfig, fs_hz: float, draw: Draw) -> Views:
    inputs, targets, breathing_bpm = _breathe(views, config, fs_hz, draw)
    count, num_samples = len(views), inputs.shape[-1]

    speed = config.time_stretch ** draw.uniform(count, -1.0, 1.0)
    speed = torch.where(draw.chance(count, config.time_stretch_prob) > 0, speed, 1.0)
    furthest = config.temporal_shift_range * num_samples
    samples = draw.uniform(count, -furthest, furthest).round().long()
    inputs, targets = (
        augment.shift(augment.stretch(x, speed), samples)
        if config.time_stretch > 1
        else augment.shift(x, samples)
        for x in (inputs, targets)
    )

    recorded = standardise(inputs)
    inputs = standardise(_corrupt(recorded, config, fs_hz, draw))
    polarity = 1 - 2 * draw.chance(count, config.polarity_flip_prob)
    factor = polarity * draw.uniform(count, *config.amplitude_scale_range)
    return replace(
        views,
        inputs=augment.scale(inputs, factor),
        targets=augment.scale(standardise(targets), factor),
        recorded=recorded,
        polarity=polarity,
        breathing_bpm=breathing_bpm * speed,
    )


def _breathe(
    views: Views, config: AugmentationConfig, fs_hz: float, draw: Draw
) -> tuple[Windows, Windows, PerView]:
    """Some denoised windows in place of the recorded ones, breathing at a rate that is known."""
    count = len(views)
    if not config.breathing_prob or views.inputs.shape[-1] < SHORTEST_TO_BREATHE_S * fs_hz:
        return views.inputs, views.targets, views.breathing_bpm
    rate_bpm = BREATHING_BPM * (BREATHING_SPREAD * draw.standard(count)).exp()
    rate_bpm = rate_bpm.clamp(*BREATHING_RANGE_BPM)
    modulated, breath = augment.breathe(
        views.targets,
        fs_hz=fs_hz,
        rate_bpm=rate_bpm,
        phase=draw.uniform(count, 0.0, 2 * math.pi),
        rate_change=draw.uniform(count, *BREATHING_RATE_CHANGE),
        amplitude_change=draw.uniform(count, *BREATHING_AMPLITUDE_CHANGE),
    )
    baseline = draw.log_uniform(count, *BREATHING_BASELINE)[:, None, None] * breath
    imposed = draw.chance(count, config.breathing_prob) > 0
    chosen = imposed[:, None, None]
    return (
        torch.where(chosen, modulated + baseline, views.inputs),
        torch.where(chosen, modulated, views.targets),
        torch.where(imposed, rate_bpm, math.nan),
    )


def _corrupt(inputs: Windows, config: AugmentationConfig, fs_hz: float, draw: Draw) -> Windows:
    count = len(inputs)
    own_snr_db = augment.estimate_snr_db(inputs, fs_hz=fs_hz)
    centre = config.baseline_wander_freq
    spread = WANDER_FREQUENCY_SPREAD * centre
    corrupted = augment.add_baseline_wander(
        inputs,
        fs_hz=fs_hz,
        frequency_hz=draw.uniform(count, centre - spread, centre + spread),
        phase=draw.uniform(count, 0.0, 2 * math.pi),
        amplitude=draw.uniform(count, *WANDER_AMPLITUDE)
        * draw.chance(count, config.baseline_wander_prob),
    )
    if config.drift_prob:
        corrupted = augment.add_drift(
            corrupted,
            draw.normal(inputs),
            fs_hz=fs_hz,
            steepness=draw.uniform(count, *DRIFT_STEEPNESS),
            amplitude=draw.log_uniform(count, *DRIFT_AMPLITUDE)
            * draw.chance(count, config.drift_prob),
        )
    corrupted = _add_noise(corrupted, own_snr_db, config, fs_hz, draw)
    corrupted = _add_motion(corrupted, config, fs_hz, draw)
    start, length = _stretch_of(corrupted, DROPOUT_SECONDS, config.dropout_prob, fs_hz, draw)
    corrupted = augment.hold(corrupted, start, length)
    if config.low_pass_prob:
        everything = fs_hz / 2
        cutoff_hz = draw.uniform(count, LOWEST_CUTOFF_HZ, everything)
        slower = draw.chance(count, config.low_pass_prob) > 0
        corrupted = augment.low_pass(
            corrupted, torch.where(slower, cutoff_hz, everything), fs_hz=fs_hz
        )
    return corrupted


def _add_noise(
    inputs: Windows, own_snr_db: PerView, config: AugmentationConfig, fs_hz: float, draw: Draw
) -> Windows:
    count = len(inputs)
    noise = draw.normal(inputs)
    snr_db = config.noise_snr_ratio * own_snr_db
    if config.noise_snr_db is not None:
        snr_db = draw.uniform(count, *config.noise_snr_db)
        like_motion = draw.chance(count, MOTION_NOISE_SHARE)[:, None, None] > 0
        noise = torch.where(like_motion, augment.band_limited(noise, fs_hz=fs_hz), noise)
    noisy = draw.chance(count, config.noise_prob)[:, None, None] > 0
    return torch.where(noisy, augment.add_noise(inputs, noise, snr_db=snr_db), inputs)


def _add_motion(inputs: Windows, config: AugmentationConfig, fs_hz: float, draw: Draw) -> Windows:
    if not config.motion_prob:
        return inputs
    start, length = _stretch_of(inputs, MOTION_SECONDS, config.motion_prob, fs_hz, draw)
    amplitude = draw.uniform(len(inputs), *MOTION_AMPLITUDE)
    burst = augment.scale(augment.band_limited(draw.normal(inputs), fs_hz=fs_hz), amplitude)
    inside = augment.is_inside(inputs.shape[-1], start, length)
    return inputs + burst * inside[:, None]


def _stretch_of(
    inputs: Windows, seconds: tuple[float, float], probability: float, fs_hz: float, draw: Draw
) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
    """Start and length of a stretch in each view, in samples; length 0 where there is none."""
    count = len(inputs)
    start = draw.uniform(count, 0, inputs.shape[-1] - 1).long()
    length = draw.uniform(count, *seconds) * fs_hz * draw.chance(count, probability)
    return start, length.long()
