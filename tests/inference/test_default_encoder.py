"""The encoder that comes with ppgssl: small enough, whole, and as good as its card says."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ppgssl.cli.main import app
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.encoder_path import DEFAULT_ENCODER_FOLDER
from ppgssl.models.encoder_info import WEIGHTS_FILE

LARGEST_BYTES = 12_000_000
CARD = DEFAULT_ENCODER_FOLDER / "MODEL_CARD.md"
FIGURES = Path(__file__).parents[2] / "docs" / "default_encoder" / "figures.json"


def test_its_weights_are_small_enough_to_come_with_the_package():
    assert (DEFAULT_ENCODER_FOLDER / WEIGHTS_FILE).stat().st_size <= LARGEST_BYTES


@pytest.mark.parametrize(("seconds", "fs_hz"), [(10, 125), (2.5, 64), (60, 50), (30, 250)])
def test_it_embeds_windows_of_any_length_and_rate(seconds: float, fs_hz: float):
    at = np.arange(round(seconds * fs_hz)) / fs_hz
    windows = np.sin(2 * np.pi * 1.2 * at)[None].astype(np.float32)

    embedded = load_encoder("default").embed(windows, fs_hz)

    assert embedded.embedding.shape == (1, 512)
    assert np.isfinite(embedded.embedding).all()


def test_two_rates_of_the_same_pulse_lie_closer_than_two_pulses():
    def pulse(bpm: float, fs_hz: float) -> np.ndarray:
        at = np.arange(round(10 * fs_hz)) / fs_hz
        angle = 2 * np.pi * bpm / 60 * at
        return (np.sin(angle) + 0.4 * np.sin(2 * angle))[None].astype(np.float32)

    encoder = load_encoder("default")
    slow, slow_at_64_hz, fast = (
        encoder.embed(pulse(bpm, fs_hz), fs_hz).embedding[0]
        for bpm, fs_hz in ((60, 125), (60, 64), (110, 125))
    )

    assert np.linalg.norm(slow - slow_at_64_hz) < 0.3 * np.linalg.norm(slow - fast)


def test_its_card_names_data_licences_recipe_limits_and_forbidden_uses():
    card = CARD.read_text()

    for heading in ("## Data", "## Reproduce it", "## What it is worth", "## Limits"):
        assert heading in card
    assert "What it must not be used for" in card
    assert "Open Data Commons Attribution" in card


@pytest.mark.recordings
@pytest.mark.slow
def test_its_heart_rate_probe_on_bidmc_errs_as_its_figures_say(recordings: Path):
    data = ["--encoder", "default", "--data", str(recordings / "bidmc.parquet")]
    quick = ["--no-references", "--no-robustness", "--no-label-efficiency"]

    done = CliRunner().invoke(app, ["evaluate", *data, "--label", "hr_bpm", *quick, "--json"])

    (label,) = json.loads(done.stdout)["labels"]
    claimed = json.loads(FIGURES.read_text())["seed-0"]["HR MAE, bpm"]
    assert label["scores"]["encoder"]["mae"]["value"] == pytest.approx(claimed, rel=0.02)
