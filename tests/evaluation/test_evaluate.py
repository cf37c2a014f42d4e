"""An evaluation from labelled files to scores, with an untrained encoder."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.simulated import write_simulated
from ppgssl.errors import InputError
from ppgssl.evaluation.evaluate import Evaluation, evaluate
from ppgssl.evaluation.labelled import LabelledWindows, read_labelled
from ppgssl.inference.encoder import load_encoder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_simulated(folder, subjects=8, minutes=2, fs_hz=125, seed=0, on_subject=lambda _: None)
    return folder


@pytest.fixture(scope="module")
def windows(recordings, tmp_path_factory) -> LabelledWindows:
    scratch = tmp_path_factory.mktemp("scratch") / "dataset"
    return read_labelled(recordings, window_s=10.0, fs_hz=125.0, scratch=scratch)


@pytest.fixture(scope="module")
def evaluation(encoder_folder, windows) -> Evaluation:
    return evaluate(load_encoder(encoder_folder), windows, ["hr_bpm", "rhythm"])


def test_recordings_are_cut_into_windows_with_their_labels(windows):
    assert windows.signal.shape == (8 * 12, 1250)
    assert len(np.unique(windows.subjects)) == 8
    assert 45 <= windows.labels["hr_bpm"].mean() <= 140
    assert set(windows.labels["rhythm"]) <= {"sinus", "af", "ectopic"}


def test_every_representation_is_scored_on_the_same_windows(evaluation):
    heart_rate, rhythm = evaluation.labels

    assert set(heart_rate.scores) == {"encoder", "log_spectrum", "mean", "spectral_peak"}
    assert set(rhythm.scores) == {"encoder", "log_spectrum", "mean"}
    assert (heart_rate.windows, heart_rate.subjects) == (96, 8)
    assert (heart_rate.task, rhythm.task) == ("regression", "classification")


def test_the_classical_estimate_reads_simulated_heart_rates(evaluation):
    scores = evaluation.labels[0].scores

    assert scores["spectral_peak"]["mae"].value < 8
    assert scores["spectral_peak"]["mae"].value < scores["mean"]["mae"].value


def test_windows_that_cannot_be_embedded_are_counted_and_left_out(encoder_folder, windows):
    signal = windows.signal.copy()
    signal[3] = 0.0
    spoilt = LabelledWindows(signal, windows.fs_hz, windows.subjects, windows.labels)

    result = evaluate(load_encoder(encoder_folder), spoilt, ["hr_bpm"])

    assert (result.windows, result.refused) == (95, 1)


@pytest.mark.parametrize(
    ("label", "values", "message"),
    [
        ("absent", None, "the data has only"),
        ("constant", np.full(96, 3.0), "the same value everywhere"),
        ("name", np.array([f"w{i}" for i in range(96)]), "text with 96 values"),
        ("rare", np.where(np.arange(96) < 12, 1.0, math.nan), "1 subjects have a value"),
    ],
)
def test_a_label_that_cannot_be_probed_is_refused_with_the_reason(
    encoder_folder, windows, label, values, message
):
    labels = windows.labels if values is None else {label: values}
    data = LabelledWindows(windows.signal, windows.fs_hz, windows.subjects, labels)

    with pytest.raises(InputError, match=f"'{label}' cannot be probed: .*{message}"):
        evaluate(load_encoder(encoder_folder), data, [label])


def test_the_command_prints_the_scores_as_json(encoder_folder, recordings):
    command = ["evaluate", "--encoder", str(encoder_folder), "--data", str(recordings)]

    done = subprocess.run(
        [sys.executable, "-m", "ppgssl", *command, "--label", "hr_bpm", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )

    (report,) = json.loads(done.stdout)["labels"]
    score = report["scores"]["encoder"]["mae"]
    assert score["low"] <= score["value"] <= score["high"]
