"""What encoders are held against: finite, repeatable, and right on known pulses."""

import numpy as np
import pytest
import torch

from ppgssl.evaluation import features, references
from ppgssl.evaluation.references import (
    REFERENCE_NAMES,
    classical_estimates,
    missing_references,
    reference_features,
    untrained_embeddings,
)
from ppgssl.inference.encoder import PpgEncoder, load_encoder
from ppgssl.models.encoder import Encoder, standardise

FS_HZ = 125.0


@pytest.fixture(scope="module")
def encoder(encoder_folder) -> PpgEncoder:
    return load_encoder(encoder_folder)


def pulses(num_windows: int, *, seconds: float = 10.0) -> np.ndarray:
    at = np.arange(round(seconds * FS_HZ)) / FS_HZ
    angle = 2 * np.pi * np.linspace(50, 120, num_windows)[:, None] / 60 * at
    noise = 0.05 * np.random.default_rng(0).normal(size=angle.shape)
    return (np.sin(angle) + 0.3 * np.sin(2 * angle) + noise).astype(np.float32)


def without_neurokit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "neurokit_is_installed", lambda: False)


def test_every_reference_has_a_finite_row_for_every_window(encoder):
    found = reference_features(pulses(12), FS_HZ, encoder=encoder, seed=0)

    assert set(found) >= {"log_spectrum", "untrained", "untrained_calibrated"}
    assert found["untrained"].shape == (12, 512)
    assert set(found) <= REFERENCE_NAMES
    assert all(len(rows) == 12 and np.isfinite(rows).all() for rows in found.values())


def test_neurokit_is_there_or_named_as_missing(encoder):
    found = reference_features(pulses(3), FS_HZ, encoder=encoder, seed=0)

    assert ("neurokit" in found) == features.neurokit_is_installed()
    assert ("neurokit" in found) != bool(missing_references())


def test_without_neurokit_its_key_is_absent_and_the_remedy_is_named(encoder, monkeypatch):
    without_neurokit(monkeypatch)

    found = reference_features(pulses(3), FS_HZ, encoder=encoder, seed=0)

    assert set(found) == {"log_spectrum", "untrained", "untrained_calibrated"}
    assert missing_references()[0].startswith("neurokit: ")
    assert "pip install 'ppgssl[neurokit]'" in missing_references()[0]


@pytest.mark.parametrize("name", ["untrained", "untrained_calibrated"])
def test_untrained_embeddings_depend_on_their_seed_and_not_on_the_callers(encoder, name):
    windows = pulses(6)

    first = untrained_embeddings(windows, FS_HZ, encoder=encoder, seed=1)[name]
    torch.manual_seed(99)
    again = untrained_embeddings(windows, FS_HZ, encoder=encoder, seed=1)[name]
    other = untrained_embeddings(windows, FS_HZ, encoder=encoder, seed=2)[name]

    np.testing.assert_array_equal(again, first)
    assert not np.allclose(other, first, atol=1e-3)


def test_untrained_embeddings_leave_the_encoder_and_the_random_numbers_alone(encoder):
    windows = pulses(4)
    before, state = encoder.embed(windows).embedding, torch.get_rng_state()

    untrained_embeddings(windows, FS_HZ, encoder=encoder, seed=0)

    np.testing.assert_array_equal(encoder.embed(windows).embedding, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_uncalibrated_embedding_does_not_depend_on_the_other_windows(encoder):
    windows = pulses(8)

    together = untrained_embeddings(windows, FS_HZ, encoder=encoder, seed=0)
    alone = untrained_embeddings(windows[:2], FS_HZ, encoder=encoder, seed=0)

    np.testing.assert_allclose(alone["untrained"], together["untrained"][:2], atol=1e-5)
    assert not np.allclose(
        alone["untrained_calibrated"], together["untrained_calibrated"][:2], atol=1e-3
    )


def test_calibration_takes_the_statistics_of_evenly_drawn_windows(encoder, monkeypatch):
    monkeypatch.setattr(references, "CALIBRATION_SAMPLES", 3 * 1250)
    network = Encoder(encoder.info.architecture, encoder.info.segment_tokens, encoder.info.fs_hz)
    windows = pulses(7)

    references._calibrate(network, windows)

    with torch.no_grad():
        drawn = standardise(torch.from_numpy(windows[[0, 3, 6]]))
        filtered = network.stem[0](drawn[:, None])
    norm = network.stem[1]
    torch.testing.assert_close(norm.running_mean, filtered.mean(dim=(0, 2)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, filtered.var(dim=(0, 2)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("label", ["hr_bpm", "pulse_bpm", "device_hr_bpm"])
def test_every_classical_way_reads_the_heart_rate_of_clean_pulses(label: str):
    found = classical_estimates(label, pulses(8), FS_HZ)

    assert set(found) == {"spectral_peak", "autocorrelation", "beats"}
    for rates in found.values():
        np.testing.assert_allclose(rates, np.linspace(50, 120, 8), atol=1)


def test_the_respiration_rate_has_an_estimate_and_other_labels_have_none():
    found = classical_estimates("resp_bpm", pulses(3), FS_HZ)

    assert set(found) == {"modulation"}
    assert np.isfinite(found["modulation"]).all()
    assert classical_estimates("spo2_pct", pulses(3), FS_HZ) == {}


def test_estimates_do_not_depend_on_how_many_windows_are_estimated_at_a_time(monkeypatch):
    windows = pulses(7)
    together = classical_estimates("hr_bpm", windows, FS_HZ)

    monkeypatch.setattr(references, "ESTIMATE_SAMPLES", 2000)

    for name, rates in classical_estimates("hr_bpm", windows, FS_HZ).items():
        np.testing.assert_allclose(rates, together[name], rtol=1e-9)
