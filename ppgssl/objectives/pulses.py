"""What a clean window says of its own pulse and breathing, measured the classical way.

These are the targets that some objectives predict: no label is read. Everything is batched on the
device, computed in float32, and has no gradient. A measurement comes with how far it can be
trusted, since a spoilt window measures nonsense.

Axes used in this file:
    B  windows    S  segments    T  samples of a window    L  samples of a segment
    K  candidate rates
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from ppgssl.objectives.rates import BREATHING

Samples = Float[Tensor, "B T"]

PULSE_BAND_HZ = (0.5, 8.0)
SHORTEST_FOR_BREATHING_S = 30.0  # a slow breath has to fit in several times
SYSTOLE_S, BEAT_S = 0.111, 0.667  # moving averages of Elgendi et al. 2013
OFFSET_SHARE = 0.02  # of the mean power: the threshold offset of Elgendi et al. 2013
POWER_WINDOW_S = 10.0  # the mean power follows slow changes of the amplitude
REFRACTORY_S = 0.2  # on either side of a crest
OUTLYING_INTERVAL = 0.5  # share of the median interval; further ones are missed or false beats
COARSE_BAND_HZ = (0.5, 3.0)  # beats are looked for in it and in the pulse band
AGREEING_SHARE = 0.05  # rates of the beats in two bands that differ by less than this are trusted
LOCAL_BAND_HZ, LOCAL_SECONDS = (0.5, 4.0), 5.0  # whose beats tell the rate around a moment
FILLED_SHARE = 0.5  # of these seconds lies between beats that belong together
SERIES_HZ = 4.0  # of the breathing's modulations
NARROWNESS = 3.0  # per nat: how much less a modulation counts that names many rates
SURE_ENTROPY, LOST_ENTROPY = 1.4, 2.8  # nats; of 71 breathing rates: trusted fully, not at all


@dataclass(frozen=True, slots=True)
class Pulses:
    """Measurements of a batch.

    Attributes:
        rate_bpm: (B, S) pulse rate of each segment, beats per minute.
        trust: (B, S) 1 where beats of two bands agree on the rate, else 0.
        local_bpm: (B, N) pulse rate of the seconds around each token.
        local_trust: (B, N) that of the token's segment; 0 without beats around it.
        breathing_bpm: (B,) breaths per minute.
        breathing_trust: (B,) 0 to 1; 0 for windows too short to tell.
    """

    rate_bpm: Float[Tensor, "B S"]
    trust: Float[Tensor, "B S"]
    local_bpm: Float[Tensor, "B N"]
    local_trust: Float[Tensor, "B N"]
    breathing_bpm: Float[Tensor, " B"]
    breathing_trust: Float[Tensor, " B"]


@torch.no_grad()
def measure_pulses(
    denoised: Samples,
    recorded: Samples,
    fs_hz: float,
    *,
    segment_samples: int,
    token_samples: int,
) -> Pulses:
    """Measure clean windows; a segment that the window does not fill is left out.

    Computed in float32 even under autocast: the weights of unclear spectra are 0 in float16.

    Args:
        denoised: Standardised windows, of which the beats are found.
        recorded: The same windows with their baseline, which breathing moves.
        fs_hz: Their rate.
        segment_samples: Samples of one segment; a shorter window is one segment.
        token_samples: From one token to the next.
    """
    with torch.autocast(denoised.device.type, enabled=False):
        clean = denoised.float()
        rate, trust = _segment_rates(split_samples(clean, segment_samples), fs_hz)
        local, filled = local_rate_bpm(clean, fs_hz, token_samples)
        at = torch.arange(local.shape[-1], device=clean.device) * token_samples // segment_samples
        inside = at < trust.shape[-1]
        pulse = band_pass(clean, fs_hz, *PULSE_BAND_HZ)
        breathing = breathing_distribution(recorded.float(), pulse, fs_hz)
        entropy = torch.special.entr(breathing).sum(-1)
        breathing_trust = ((LOST_ENTROPY - entropy) / (LOST_ENTROPY - SURE_ENTROPY)).clamp(0, 1)
        if recorded.shape[-1] < SHORTEST_FOR_BREATHING_S * fs_hz:
            breathing_trust = torch.zeros_like(breathing_trust)
        return Pulses(
            rate_bpm=rate,
            trust=trust,
            local_bpm=local,
            local_trust=trust[:, at.clamp_max(trust.shape[-1] - 1)] * inside * filled,
            breathing_bpm=BREATHING.rates(breathing.device)[breathing.argmax(-1)],
            breathing_trust=breathing_trust,
        )


def _segment_rates(
    segments: Float[Tensor, "B S L"], fs_hz: float
) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
    """The rate of the beats, and whether those of a coarser band agree."""
    flat = segments.flatten(0, 1)
    fine, coarse = (
        beat_rate_bpm(find_beats(band_pass(flat, fs_hz, *band), fs_hz), fs_hz)
        for band in (PULSE_BAND_HZ, COARSE_BAND_HZ)
    )
    trust = ((fine - coarse).abs() < AGREEING_SHARE * coarse).float()
    shape = segments.shape[:2]
    return ((fine + coarse) / 2).view(shape), trust.view(shape)


def split_samples(windows: Samples, segment_samples: int) -> Float[Tensor, "B S L"]:
    """The segments that a window fills; a window shorter than one is a segment by itself."""
    length = min(segment_samples, windows.shape[-1])
    filled = windows.shape[-1] // length
    return windows[:, : filled * length].unflatten(-1, (filled, length))


def band_pass(windows: Samples, fs_hz: float, low_hz: float, high_hz: float) -> Samples:
    """Keep a band by soft edges in the spectrum: zero phase, circular."""
    frequency = torch.fft.rfftfreq(windows.shape[-1], 1 / fs_hz, device=windows.device)
    steepness = 40.0  # the edges are a tenth of their frequency wide
    rise = torch.sigmoid(steepness * (frequency / low_hz - 1))
    fall = torch.sigmoid(steepness * (1 - frequency / high_hz))
    return torch.fft.irfft(torch.fft.rfft(windows) * rise * fall, windows.shape[-1])


def find_beats(pulse: Samples, fs_hz: float) -> Bool[Tensor, "B T"]:
    """Where the systolic crests are.

    Source:
        Elgendi et al. 2013, Systolic peak detection in acceleration photoplethysmograms: two moving
        averages of the squared positive part; here without a loop over the blocks.
    """
    power = pulse.clamp_min(0).square()
    threshold = _moving_average(power, BEAT_S * fs_hz)
    threshold = threshold + OFFSET_SHARE * _moving_average(power, POWER_WINDOW_S * fs_hz)
    inside = _moving_average(power, SYSTOLE_S * fs_hz) > threshold
    inside = _open(inside, SYSTOLE_S * fs_hz)
    height = torch.where(inside, pulse, -torch.inf)
    return inside & (height == _moving_maximum(height, 2 * REFRACTORY_S * fs_hz))


def beat_rate_bpm(beats: Bool[Tensor, "B T"], fs_hz: float) -> Float[Tensor, " B"]:
    """Pulse rate from the intervals between beats; nan without an interval."""
    interval = torch.where(beats, _interval_s(beats, fs_hz), torch.nan)
    median = interval.nanmedian(-1, keepdim=True).values
    distance = (interval - median).abs()
    regular = torch.where(distance < OUTLYING_INTERVAL * median, interval, torch.nan)
    return 60 / regular.nanmean(-1)


def local_rate_bpm(
    clean: Samples, fs_hz: float, token_samples: int
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
    """The pulse rate of the seconds around each token, and 1 where beats tell it, else 0."""
    beats = find_beats(band_pass(clean, fs_hz, *LOCAL_BAND_HZ), fs_hz)
    around = _interval_around_s(beats, fs_hz)
    known = torch.where(beats, _interval_s(beats, fs_hz), torch.nan)
    median = known.nanmedian(-1, keepdim=True).values
    belongs = (around - median).abs() < OUTLYING_INTERVAL * median
    rate = torch.where(belongs, 60 / around, 0.0)
    summed, filled = (
        _mean_around_tokens(x, LOCAL_SECONDS * fs_hz, token_samples)
        for x in (rate, belongs.float())
    )
    return summed / filled.clamp_min(1e-6), (filled > FILLED_SHARE).float()


def breathing_distribution(recorded: Samples, pulse: Samples, fs_hz: float) -> Float[Tensor, "B K"]:
    """How likely each breathing rate is, from what breathing does to the pulse.

    It moves the baseline and the crests of the beats; the spectra of these two series are averaged,
    each counting as much as it singles out a rate. It also moves amplitude and intervals of the
    beats, but joining these made the rate worse (docs/log.md).

    Source:
        The modulations: Charlton et al. 2016, An assessment of algorithms to estimate respiratory
        rate. Joining them in the spectrum is ours.
    """
    last = _last_beat(find_beats(pulse, fs_hz)).clamp_min(0)
    baseline = band_pass(recorded, fs_hz, BREATHING.slowest / 60, BREATHING.fastest / 60)
    series = torch.stack([baseline, recorded.gather(1, last)], dim=1)
    step = max(1, int(fs_hz / SERIES_HZ))
    series = _without_outliers(series[..., ::step])
    padded = 2048
    spectrum = torch.fft.rfft(
        series * torch.hann_window(series.shape[-1], device=series.device), n=padded
    )
    rates = BREATHING.rates(recorded.device)
    bins = (rates / 60 * step / fs_hz * padded).round().long()
    power = whiten(spectrum[..., bins].abs().square(), rates)
    share = power / power.sum(-1, keepdim=True)
    entropy = torch.special.entr(share).sum(-1)
    joint = torch.einsum("bmk,bm->bk", share, torch.exp(-NARROWNESS * entropy)).square()
    return joint / joint.sum(-1, keepdim=True)


def whiten(power: Float[Tensor, "B M K"], rates: Float[Tensor, " K"]) -> Float[Tensor, "B M K"]:
    """Take half of a spectrum's own slope away, where it falls: drift is most of what is slow."""
    log_power = (power + 1e-6 * power.mean(-1, keepdim=True) + 1e-12).log()
    slope_axis = rates.log() - rates.log().mean()
    centred = log_power - log_power.mean(-1, keepdim=True)
    slope = (centred * slope_axis).sum(-1, keepdim=True) / slope_axis.square().sum()
    return torch.exp(centred - 0.5 * slope.clamp_max(0) * slope_axis)


def _last_beat(beats: Bool[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """The sample of the newest beat at each time; -1 before the first."""
    at = torch.arange(beats.shape[-1], device=beats.device).expand_as(beats)
    return torch.where(beats, at, -1).cummax(-1).values


def _interval_s(beats: Bool[Tensor, "B T"], fs_hz: float) -> Samples:
    """Seconds between the newest beat and the one before it; nan before the second beat."""
    newest = _last_beat(beats)
    before = torch.where(newest > 0, newest.gather(1, (newest - 1).clamp_min(0)), -1)
    return torch.where(before >= 0, (newest - before) / fs_hz, torch.nan)


def _interval_around_s(beats: Bool[Tensor, "B T"], fs_hz: float) -> Samples:
    """Seconds from the newest beat to the next one; nan before the first and after the last."""
    num_samples = beats.shape[-1]
    newest = _last_beat(beats)
    later = F.pad(beats[:, 1:], (0, 1))
    following = num_samples - _last_beat(later.flip(-1)).flip(-1)
    inside = (newest >= 0) & (following < num_samples)
    return torch.where(inside, (following - newest) / fs_hz, torch.nan)


def _mean_around_tokens(x: Samples, width: float, token_samples: int) -> Float[Tensor, "B N"]:
    """The mean of `width` samples around each token; samples outside the window count as 0."""
    size = _odd(width)
    short = -x.shape[-1] % token_samples
    padded = F.pad(x, (size // 2, size // 2 + short))
    return F.avg_pool1d(padded[:, None], size, token_samples)[:, 0]


def _without_outliers(series: Float[Tensor, "B M N"]) -> Float[Tensor, "B M N"]:
    """Standardised series, clipped to four deviations around the median; what is nan becomes 0."""
    centred = series - series.nanmedian(-1, keepdim=True).values
    spread = 4 * 1.48 * centred.abs().nanmedian(-1, keepdim=True).values + 1e-6
    clipped = torch.maximum(torch.minimum(centred, spread), -spread).nan_to_num(0.0)
    clipped = clipped - clipped.mean(-1, keepdim=True)
    return clipped / (clipped.std(-1, keepdim=True) + 1e-6)


def _odd(width: float) -> int:
    return int(width) | 1


def _moving_average(x: Samples, width: float) -> Samples:
    """The mean of the samples around each one, fewer of them at the ends."""
    num_samples, half = x.shape[-1], _odd(width) // 2
    sums = F.pad(x.double().cumsum(-1), (1, 0))
    at = torch.arange(num_samples, device=x.device)
    first, stop = (at - half).clamp_min(0), (at + half + 1).clamp_max(num_samples)
    return ((sums[:, stop] - sums[:, first]) / (stop - first)).to(x.dtype)


def _moving_maximum(x: Samples, width: float) -> Samples:
    size = _odd(width)
    return F.max_pool1d(x[:, None], size, 1, size // 2)[:, 0]


def _open(inside: Bool[Tensor, "B T"], width: float) -> Bool[Tensor, "B T"]:
    """Remove what is shorter than `width`."""
    eroded = -_moving_maximum(-inside.float(), width)
    return _moving_maximum(eroded, width) > 0.5
