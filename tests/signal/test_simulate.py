"""Simulated recordings hold what they say."""

import tracemalloc

import numpy as np
import pytest

from ppgssl.data.simulated import write_simulated
from ppgssl.signal.quality import signal_quality
from ppgssl.signal.rates import heart_rate_bpm
from ppgssl.signal.simulate import RHYTHMS, simulate_recording


@pytest.mark.parametrize("rate_bpm", [50.0, 72.0, 130.0])
@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_the_heart_rate_asked_for_is_the_heart_rate_of_the_beats(rate_bpm: float, rhythm: str):
    simulated = simulate_recording(1, minutes=5, heart_rate_bpm=rate_bpm, rhythm=rhythm)

    assert len(simulated.beat_s) == pytest.approx(5 * rate_bpm, abs=1)
    assert simulated.hr_bpm.mean() == pytest.approx(rate_bpm, rel=0.02)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("minutes", [1, 10])
def test_a_72_bpm_recording_measures_72_bpm(seed: int, minutes: int):
    simulated = simulate_recording(seed, minutes=minutes, heart_rate_bpm=72, rhythm="sinus")

    assert heart_rate_bpm(simulated.signal, 125.0) == pytest.approx(72, abs=1)


def test_the_label_of_each_minute_is_what_the_spectrum_finds_there():
    simulated = simulate_recording(3, minutes=6, rhythm="sinus", artefacts_per_hour=0, snr_db=30)

    measured = heart_rate_bpm(simulated.signal.reshape(12, -1), 125.0)

    labelled = simulated.hr_bpm.reshape(12, 30).mean(axis=1)
    assert np.abs(measured - labelled).mean() < 3


def test_the_baseline_breathes_at_the_respiration_rate():
    simulated = simulate_recording(4, minutes=4, resp_rate_bpm=15, artefacts_per_hour=0)
    spectrum = np.abs(np.fft.rfft(simulated.signal - simulated.signal.mean()))
    frequency = np.fft.rfftfreq(len(simulated.signal), 1 / 125)

    breathing = (frequency > 0.15) & (frequency < 0.5)
    peak_bpm = 60 * frequency[breathing][spectrum[breathing].argmax()]

    assert peak_bpm == pytest.approx(simulated.resp_bpm.mean(), abs=2)


def test_the_snr_is_the_snr_asked_for():
    quiet = simulate_recording(5, minutes=2, snr_db=200, artefacts_per_hour=0)
    noisy = simulate_recording(5, minutes=2, snr_db=10, artefacts_per_hour=0)

    noise = (noisy.signal - quiet.signal).astype(np.float64)
    pulse_power = 10 ** (10 / 10) * noise.var()
    assert pulse_power < quiet.signal.var()  # the rest of the variance is breathing and wander
    assert pulse_power > 0.05 * quiet.signal.var()


def test_atrial_fibrillation_is_irregular_and_sinus_rhythm_is_not():
    def irregularity(rhythm: str) -> float:
        intervals = np.diff(simulate_recording(6, minutes=5, rhythm=rhythm).beat_s)
        return float(np.abs(np.diff(intervals)).mean() / intervals.mean())

    assert irregularity("af") > 0.15
    assert irregularity("sinus") < 0.05


def test_seconds_marked_as_artefact_are_worse_than_the_others():
    simulated = simulate_recording(7, minutes=30, rhythm="sinus", snr_db=30, artefacts_per_hour=60)
    windows = simulated.signal.reshape(-1, 1250)
    covered = simulated.artefact.reshape(-1, 10).mean(axis=1)

    quality = signal_quality(windows, 125.0)

    assert covered.max() == 1
    assert quality[covered == 0].mean() > quality[covered > 0.8].mean() + 0.3


def test_the_same_seed_gives_the_same_recording_and_another_one_another():
    first, again, other = (simulate_recording(seed, minutes=1).signal for seed in (8, 8, 9))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_recording_is_the_same_in_blocks_of_any_size_and_small_ones_take_little_memory(
    monkeypatch,
):
    def simulate() -> np.ndarray:
        return simulate_recording(8, minutes=30, artefacts_per_hour=60).signal

    whole = simulate()
    monkeypatch.setattr("ppgssl.signal.simulate.BLOCK_SAMPLES", 5_000)
    tracemalloc.start()
    in_blocks = simulate()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    np.testing.assert_allclose(in_blocks, whole, atol=1e-6)
    assert peak_bytes < 3 * whole.nbytes


@pytest.mark.parametrize("setting", [{"minutes": 0}, {"minutes": 1, "fs_hz": -5}])
def test_an_impossible_length_or_rate_is_refused(setting):
    with pytest.raises(ValueError, match="must be positive"):
        simulate_recording(0, **setting)


def test_a_subject_s_file_does_not_depend_on_how_many_there_are(tmp_path):
    def write(name: str, subjects: int) -> list[bytes]:
        paths = write_simulated(
            tmp_path / name,
            subjects=subjects,
            minutes=0.5,
            fs_hz=50,
            seed=1,
            on_subject=lambda _: None,
        )
        return [path.read_bytes() for path in paths]

    assert write("few", 1)[0] == write("many", 3)[0]
