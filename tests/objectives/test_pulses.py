"""Rates measured on pulses whose rates are known."""

import math

import pytest
import torch

from ppgssl.models.encoder import standardise
from ppgssl.objectives.pulses import (
    Pulses,
    beat_rate_bpm,
    breathing_distribution,
    find_beats,
    measure_pulses,
    spectral_rate_bpm,
    split_samples,
)
from ppgssl.signal.simulate import simulate_recording

FS_HZ = 125.0
SEGMENT = 1280


def simulated(bpm: float, resp_bpm: float = 15, *, seconds: int = 60) -> torch.Tensor:
    recording = simulate_recording(
        7,
        minutes=seconds / 60,
        heart_rate_bpm=bpm,
        resp_rate_bpm=resp_bpm,
        rhythm="sinus",
        snr_db=25,
        artefacts_per_hour=0,
    )
    return standardise(torch.from_numpy(recording.signal)[None])


def measured(windows: torch.Tensor) -> Pulses:
    return measure_pulses(windows, windows, FS_HZ, segment_samples=SEGMENT)


def test_each_crest_is_found_once():
    at = torch.arange(1250) / FS_HZ
    pulse = torch.cos(2 * math.pi * 1.25 * at)[None]  # crests at 0, 0.8, 1.6, ... s

    beats = find_beats(pulse, FS_HZ)[0].nonzero().flatten() / FS_HZ

    assert beats[1:-1].tolist() == pytest.approx([0.8 * k for k in range(1, 12)], abs=0.01)


@pytest.mark.parametrize("bpm", [45, 72, 110, 150])
def test_beats_and_spectrum_agree_on_the_rate_of_a_simulated_pulse(bpm: float):
    pulses = measured(simulated(bpm))

    assert pulses.rate_bpm.mean().item() == pytest.approx(
        bpm, rel=0.08
    )  # it varies, and the end is left out
    assert pulses.trust.mean() > 0.7


def test_uneven_beats_have_the_rate_of_their_mean_interval():
    beats = torch.zeros(2, 2000, dtype=torch.bool)
    beats[0, 100::100] = True
    beats[1, torch.tensor([100, 210, 300, 410, 500, 610])] = True  # 110 and 90 in turn

    rate = beat_rate_bpm(beats, FS_HZ)

    assert rate.tolist() == pytest.approx([75, 60 * 125 / 102])


def test_a_missed_beat_does_not_change_the_rate():
    beats = torch.zeros(1, 2000, dtype=torch.bool)
    beats[0, 100::100] = True
    beats[0, 900] = False

    rate = beat_rate_bpm(beats, FS_HZ)

    assert rate.item() == pytest.approx(75)


def test_noise_is_measured_without_being_trusted():
    noise = torch.randn(40, 1250, generator=torch.Generator().manual_seed(0))

    pulses = measured(standardise(noise))

    assert pulses.trust.mean() < 0.4


def test_a_flat_window_is_measured_without_being_trusted():
    pulses = measured(torch.zeros(1, 7500))

    assert pulses.trust.sum() == 0
    assert pulses.breathing_bpm.isfinite().all()
    assert pulses.breathing_trust.sum() == 0


@pytest.mark.parametrize("resp_bpm", [10, 15, 24])
def test_the_breathing_of_a_simulated_recording_is_found(resp_bpm: float):
    window = simulated(75, resp_bpm)

    pulses = measured(window)

    assert pulses.breathing_bpm.item() == pytest.approx(resp_bpm, abs=1.5)


def test_a_distribution_over_breathing_rates_sums_to_one_even_without_a_pulse():
    silence = torch.zeros(2, 7500)

    distribution = breathing_distribution(silence, silence, FS_HZ)

    assert distribution.sum(-1).tolist() == pytest.approx([1, 1])


def test_breathing_is_not_trusted_in_windows_too_short_for_it():
    pulses = measured(simulated(75, seconds=20))

    assert pulses.breathing_trust.sum() == 0


def test_a_window_is_split_into_the_segments_that_it_fills():
    window = torch.arange(10.0)[None]

    assert split_samples(window, 4).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7]]]
    assert split_samples(window, 20).shape == (1, 1, 10)


def test_a_strong_second_harmonic_is_not_taken_for_the_rate():
    at = torch.arange(1250) / FS_HZ
    pulse = torch.sin(2 * math.pi * at) + 0.8 * torch.sin(4 * math.pi * at + 1)

    assert spectral_rate_bpm(pulse[None], FS_HZ).item() == pytest.approx(60, abs=1)
