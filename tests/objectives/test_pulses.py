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
    local_rate_bpm,
    measure_pulses,
    split_samples,
)
from ppgssl.signal.simulate import simulate_recording

FS_HZ = 125.0
SEGMENT, TOKEN = 1280, 32


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
    return measure_pulses(windows, windows, FS_HZ, segment_samples=SEGMENT, token_samples=TOKEN)


def test_each_crest_is_found_once():
    at = torch.arange(1250) / FS_HZ
    pulse = torch.cos(2 * math.pi * 1.25 * at)[None]  # crests at 0, 0.8, 1.6, ... s

    beats = find_beats(pulse, FS_HZ)[0].nonzero().flatten() / FS_HZ

    assert beats[1:-1].tolist() == pytest.approx([0.8 * k for k in range(1, 12)], abs=0.01)


@pytest.mark.parametrize("bpm", [50, 72, 110, 150])
def test_beats_of_both_bands_agree_on_the_rate_of_a_simulated_pulse(bpm: float):
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


def test_a_beat_that_is_higher_in_one_band_only_is_not_trusted():
    at = torch.arange(1250) / FS_HZ
    beats, faster = (torch.cos(2 * math.pi * hz * at) for hz in (1.0, 4.0))

    slow, mixed = (measured(standardise(x[None])).trust for x in (beats, beats + 3 * faster))

    assert (slow.item(), mixed.item()) == (1, 0)


def test_the_rate_around_a_moment_follows_the_beats():
    at_s = torch.arange(7500) / FS_HZ
    hz = torch.where(at_s < 30, 1.0, 1.5)
    window = torch.cos(2 * math.pi * (hz / FS_HZ).cumsum(0))[None]

    rate, told = local_rate_bpm(window, FS_HZ, TOKEN)

    assert rate.shape == (1, math.ceil(7500 / TOKEN))
    at_token_s = torch.arange(rate.shape[-1]) * TOKEN / FS_HZ
    early = (at_token_s > 3) & (at_token_s < 27)
    late = (at_token_s > 33) & (at_token_s < 57)
    assert told[0, early | late].all()
    assert rate[0, early].tolist() == pytest.approx([60] * int(early.sum()), abs=0.5)
    assert rate[0, late].tolist() == pytest.approx([90] * int(late.sum()), abs=0.5)


def test_moments_without_beats_around_them_are_not_trusted():
    window = torch.cos(2 * math.pi * torch.arange(7500) / FS_HZ)[None]
    window[:, 2560:5120] = 0  # two of the segments

    pulses = measured(window)

    tokens = SEGMENT // TOKEN
    assert pulses.local_trust[:, 2 * tokens + 10 : 4 * tokens - 10].sum() == 0
    assert pulses.local_trust[:, :tokens].mean() > 0.9
