"""PPG recordings whose heart rate, respiration, rhythm and artefacts are known.

A beat is a smooth periodic bump pattern (systolic wave, reflected wave, dicrotic wave) stretched to
the interval between two beats; breathing modulates rate, amplitude and baseline. Everything is
drawn from the seed; nothing here reads or writes files. Samples are made a block at a time, so that
a day needs little more memory than its signal.

Axes used in this file:
    T  samples    K  beats    M  seconds
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Rhythm = Literal["sinus", "af", "ectopic"]
RHYTHMS: tuple[Rhythm, ...] = get_args(Rhythm)

Samples = npt.NDArray[np.floating]

# Systolic, reflected and dicrotic wave: phase of the crest within a beat, sharpness (von Mises
# concentration), and height, which differs between recordings.
WAVE_CRESTS = (0.20, 0.38, 0.62)
WAVE_SHARPNESS = (6.0, 4.0, 7.0)
WAVE_HEIGHTS = np.array([1.0, 0.5, 0.2])
RATE_WINDOW_S = 8.0  # the rate at a second is that of the beats around it, as on a monitor
LEAD_S = 5.0  # beats before the first sample
BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True, slots=True)
class SimulatedRecording:
    """A simulated recording and the truth about it.

    Attributes:
        signal: (T,) float32, arbitrary units.
        fs_hz: Sampling rate.
        beat_s: (K,) times of the beats' onsets, seconds.
        hr_bpm: (M,) heart rate at each second.
        resp_bpm: (M,) respiration rate at each second.
        artefact: (M,) 1 where motion covers the second, else 0.
        rhythm: sinus, af or ectopic.
        snr_db: Pulse power against white noise.
    """

    signal: npt.NDArray[np.float32]
    fs_hz: float
    beat_s: Samples
    hr_bpm: Samples
    resp_bpm: Samples
    artefact: Samples
    rhythm: Rhythm
    snr_db: float


def simulate_recording(
    seed: int | np.random.SeedSequence,
    *,
    minutes: float,
    fs_hz: float = 125.0,
    heart_rate_bpm: float | None = None,
    resp_rate_bpm: float | None = None,
    rhythm: Rhythm | None = None,
    snr_db: float | None = None,
    artefacts_per_hour: float = 12.0,
) -> SimulatedRecording:
    """Simulate one recording; what is None is drawn from the seed.

    Args:
        seed: The same seed gives the same recording.
        minutes: Length.
        fs_hz: Sampling rate, Hz.
        heart_rate_bpm: Mean heart rate, exact over the recording.
        resp_rate_bpm: Mean respiration rate.
        rhythm: Regular, atrial fibrillation (irregular), or with early beats and pauses.
        snr_db: Pulse power against white noise, dB.
        artefacts_per_hour: Motion artefacts, each of 2 to 15 seconds.

    Raises:
        ValueError: Length or rate is not positive.
    """
    if minutes <= 0 or fs_hz <= 0:
        raise ValueError(f"minutes and fs_hz must be positive, got {minutes:g} and {fs_hz:g}")
    generator = np.random.default_rng(seed)
    drawn_rate = float(np.clip(generator.normal(75, 14), 45, 140))
    drawn_resp = float(np.clip(generator.normal(15, 3), 8, 26))
    drawn_rhythm = RHYTHMS[generator.choice(len(RHYTHMS), p=[0.8, 0.1, 0.1])]
    drawn_snr = float(generator.uniform(12, 35))
    rate = drawn_rate if heart_rate_bpm is None else heart_rate_bpm
    resp = drawn_resp if resp_rate_bpm is None else resp_rate_bpm
    beats = drawn_rhythm if rhythm is None else rhythm
    ratio = drawn_snr if snr_db is None else snr_db

    seconds = minutes * 60
    signal = np.empty(round(seconds * fs_hz), np.float32)
    breath = _Breathing.draw(generator, resp, seconds)
    beat_s = _beat_times(generator, seconds, rate, beats, breath)
    heights = WAVE_HEIGHTS * generator.uniform(0.6, 1.4, size=len(WAVE_HEIGHTS))
    swell = _Drift.draw(generator, 0, (len(signal) - 1) / fs_hz, period_s=60)
    wander = _Drift.draw(generator, 0, (len(signal) - 1) / fs_hz, period_s=20)
    for block, time_s in _blocks(len(signal), fs_hz):
        breathing = 1 + 0.12 * np.sin(breath.phase(time_s) + 0.8)
        swelling = 1 + 0.15 * swell.at(time_s)
        signal[block] = _pulse(time_s, beat_s, heights) * breathing * swelling
    noise = _deviation(signal) / 10 ** (ratio / 20)
    for block, time_s in _blocks(len(signal), fs_hz):
        baseline = 0.25 * np.sin(breath.phase(time_s)) + 0.5 * wander.at(time_s)
        signal[block] += baseline + noise * generator.normal(size=len(time_s))
    artefact = _add_motion(generator, signal, fs_hz, artefacts_per_hour)

    whole_s = np.arange(int(seconds))
    return SimulatedRecording(
        signal=signal,
        fs_hz=fs_hz,
        beat_s=beat_s[(beat_s >= 0) & (beat_s < seconds)],
        hr_bpm=_rate_at(whole_s + 0.5, beat_s),
        resp_bpm=breath.rate_bpm(whole_s + 0.5),
        artefact=artefact,
        rhythm=beats,
        snr_db=ratio,
    )


@dataclass(frozen=True, slots=True)
class _Breathing:
    """A respiration rate that drifts slowly, as knots ten seconds apart."""

    knot_s: Samples
    rate_hz: Samples

    @classmethod
    def draw(cls, generator: np.random.Generator, rate_bpm: float, seconds: float) -> "_Breathing":
        knot_s = np.arange(-LEAD_S, seconds + 20, 10.0)
        drift = 1 + 0.06 * np.convolve(generator.normal(size=len(knot_s)), [0.5, 0.3, 0.2], "same")
        return cls(knot_s, rate_bpm / 60 * drift)

    def rate_bpm(self, time_s: Samples) -> Samples:
        return 60 * np.interp(time_s, self.knot_s, self.rate_hz)

    def phase(self, time_s: Samples) -> Samples:
        steps = np.diff(self.knot_s) * (self.rate_hz[1:] + self.rate_hz[:-1]) / 2
        cycles = np.concatenate([[0], np.cumsum(steps)])
        return 2 * np.pi * np.interp(time_s, self.knot_s, cycles)


@dataclass(frozen=True, slots=True)
class _Drift:
    """A smooth random curve of about unit deviation, as knots to draw lines between."""

    knot_s: Samples
    value: Samples

    @classmethod
    def draw(
        cls, generator: np.random.Generator, first_s: float, last_s: float, period_s: float
    ) -> "_Drift":
        knot_s = np.arange(first_s, last_s + 2 * period_s, period_s)
        return cls(knot_s, generator.normal(size=len(knot_s)))

    def at(self, time_s: Samples) -> Samples:
        return np.interp(time_s, self.knot_s, self.value)


def _beat_times(
    generator: np.random.Generator,
    seconds: float,
    rate_bpm: float,
    rhythm: Rhythm,
    breath: _Breathing,
) -> Samples:
    """Onsets of beats from before the start until after the end, at the rate in between."""
    count = int((seconds + 2 * LEAD_S) * rate_bpm / 60) + 4
    if rhythm == "af":
        interval = generator.lognormal(0, 0.22, size=count)
    else:
        about_s = np.arange(count) * 60 / rate_bpm - LEAD_S
        sinus_arrhythmia = 0.03 * np.sin(breath.phase(about_s))
        drift = 0.05 * _Drift.draw(generator, about_s[0], about_s[-1], period_s=40).at(about_s)
        interval = 1 + sinus_arrhythmia + drift + generator.normal(0, 0.01, size=count)
    if rhythm == "ectopic":
        early = np.flatnonzero(generator.random(count - 1) < 0.06)
        interval[early] *= 0.62
        interval[early + 1] *= 1.35
    onset = np.cumsum(interval.clip(0.4, 2.5))
    lead, within = LEAD_S * rate_bpm / 60, seconds * rate_bpm / 60
    start, stop = np.interp([lead, lead + within], np.arange(count), onset)
    return (onset - start) * seconds / (stop - start)


def _pulse(time_s: Samples, beat_s: Samples, heights: Samples) -> Samples:
    beat = np.searchsorted(beat_s, time_s, side="right") - 1
    beat = beat.clip(0, len(beat_s) - 2)
    phase = (time_s - beat_s[beat]) / (beat_s[beat + 1] - beat_s[beat])
    waves = sum(
        height * np.exp(sharpness * (np.cos(2 * np.pi * (phase - crest)) - 1))
        for crest, sharpness, height in zip(WAVE_CRESTS, WAVE_SHARPNESS, heights, strict=True)
    )
    return np.asarray(waves)


def _blocks(samples: int, fs_hz: float) -> Iterator[tuple[slice, Samples]]:
    """Consecutive samples, and their times in seconds."""
    for start in range(0, samples, BLOCK_SAMPLES):
        stop = min(start + BLOCK_SAMPLES, samples)
        yield slice(start, stop), np.arange(start, stop) / fs_hz


def _deviation(signal: npt.NDArray[np.float32]) -> float:
    """Standard deviation, without a copy of the signal in double precision."""
    mean = signal.mean(dtype=np.float64)
    starts = range(0, len(signal), BLOCK_SAMPLES)
    squares = sum(float(np.sum((signal[k : k + BLOCK_SAMPLES] - mean) ** 2)) for k in starts)
    return (squares / len(signal)) ** 0.5


def _add_motion(
    generator: np.random.Generator,
    signal: npt.NDArray[np.float32],
    fs_hz: float,
    per_hour: float,
) -> Samples:
    """Lay motion artefacts over the signal; returns the seconds that they cover, as 1."""
    seconds = len(signal) / fs_hz
    covered = np.zeros(int(round(seconds, 6)))
    for _ in range(generator.poisson(per_hour * seconds / 3600)):
        start = generator.uniform(0, seconds)
        stop = min(start + generator.uniform(2, 15), seconds)
        inside = np.arange(np.ceil(start * fs_hz), np.ceil(stop * fs_hz), dtype=np.int64)
        local_s = inside / fs_hz - start
        frequency = generator.uniform(0.4, 5.0, size=6)[:, None]
        phase = generator.uniform(0, 2 * np.pi, size=6)[:, None]
        shake = np.sin(2 * np.pi * frequency * local_s + phase).mean(axis=0)
        envelope = np.sin(np.pi * local_s / max(stop - start, 1e-9))
        signal[inside] += generator.uniform(2, 6) * envelope * shake
        covered[int(start) : int(np.ceil(stop))] = 1
    return covered


def _rate_at(second_s: Samples, beat_s: Samples) -> Samples:
    """Beats per minute from the beats within four seconds before and after."""
    first = np.searchsorted(beat_s, second_s - RATE_WINDOW_S / 2)
    last = np.searchsorted(beat_s, second_s + RATE_WINDOW_S / 2, side="right") - 1
    first, last = first.clip(0, len(beat_s) - 2), last.clip(1, len(beat_s) - 1)
    return 60 * (last - first) / (beat_s[last] - beat_s[first])
