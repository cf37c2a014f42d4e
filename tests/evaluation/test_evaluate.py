"""An evaluation from labelled files to scores, with an untrained encoder."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppgssl.data.simulated import write_simulated
from ppgssl.errors import InputError
from ppgssl.evaluation.evaluate import evaluate
from ppgssl.evaluation.labelled import LabelledWindows, read_labelled
from ppgssl.evaluation.results import Evaluation
from ppgssl.evaluation.settings import EvaluationSettings
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
def stages() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def evaluation(encoder_folder, windows, stages) -> Evaluation:
    encoder = load_encoder(encoder_folder)
    settings = EvaluationSettings(labels=("hr_bpm", "pace"))

    def note(stage: str, share: float) -> None:
        stages.append((stage, share))

    pace = np.where(windows.labels["hr_bpm"] > 70, "fast", "slow")
    data = replace(windows, labels=windows.labels | {"pace": pace})
    return evaluate(encoder, data, settings, beside={"twin": encoder}, progress=note)


def quickly(*labels: str) -> EvaluationSettings:
    return EvaluationSettings(
        labels=labels, label_efficiency=False, robustness=False, references=False
    )


def test_the_signal_quality_is_a_label(windows):
    assert windows.labels["sqi"].max() <= 1
    assert windows.labels["sqi"].std() > 0


def test_windows_overlap_where_the_hop_is_shorter(recordings, tmp_path):
    overlapping = read_labelled(
        recordings, window_s=60.0, hop_s=30.0, fs_hz=125.0, scratch=tmp_path / "dataset"
    )

    assert overlapping.signal.shape == (8 * 3, 7500)
    np.testing.assert_array_equal(overlapping.signal[0, 3750:], overlapping.signal[1, :3750])


def test_recordings_are_cut_into_windows_with_their_labels(windows):
    assert windows.signal.shape == (8 * 12, 1250)
    assert len(np.unique(windows.subjects)) == 8
    assert 45 <= windows.labels["hr_bpm"].mean() <= 140
    assert set(windows.labels["rhythm"]) <= {"sinus", "af", "ectopic"}


def test_every_representation_is_scored_on_the_same_windows(evaluation):
    heart_rate, pace = evaluation.labels
    untrained = {"untrained", "untrained_calibrated"}
    probed = {"encoder", "twin", "log_spectrum", "mean"} | untrained

    assert set(heart_rate.scores) >= probed | {"spectral_peak", "autocorrelation"}
    assert set(pace.scores) >= probed
    assert "spectral_peak" not in pace.scores
    assert set(heart_rate.scores["encoder"]) == {"mae", "pearson_r"}
    assert set(pace.scores["encoder"]) == {"auroc", "balanced_accuracy"}
    assert (heart_rate.windows, heart_rate.subjects) == (96, 8)
    assert (heart_rate.task, pace.task) == ("regression", "classification")


def test_an_encoder_beside_itself_scores_the_same(evaluation):
    scores = evaluation.labels[0].scores

    assert scores["twin"] == scores["encoder"]
    assert evaluation.beside["twin"] == evaluation.encoder


def test_the_classical_estimate_reads_simulated_heart_rates_and_the_encoder_is_told_so(evaluation):
    report = evaluation.labels[0]

    assert report.scores["spectral_peak"]["mae"].value < report.scores["mean"]["mae"].value
    assert report.scores[report.comparison.reference]["mae"].value < 8
    assert report.comparison.difference.value > 0
    assert report.comparison.verdict == "worse"
    assert report.over_mean.reference == "mean"


def test_every_fold_tests_people_that_it_did_not_learn_from(evaluation):
    folds = evaluation.labels[0].folds

    assert sum(fold.test_subjects for fold in folds) == 8
    assert sum(fold.test_windows for fold in folds) == 96
    assert all(fold.train_subjects + fold.test_subjects == 8 for fold in folds)


def test_the_encoder_and_the_data_are_named(evaluation, encoder_folder):
    encoder = load_encoder(encoder_folder)

    assert evaluation.encoder.sha256 == encoder.info.sha256
    assert 1 <= evaluation.encoder.effective_rank <= 95
    assert (evaluation.data.fs_hz, evaluation.data.window_seconds) == (125.0, 10.0)


def test_progress_runs_from_0_to_1_through_named_stages(evaluation, stages):
    shares = [share for _, share in stages]

    assert evaluation.labels
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(shares)
    assert any("hr_bpm" in stage for stage, _ in stages)


def test_the_json_holds_everything_and_is_strict(evaluation):
    text = json.dumps(evaluation.to_json(), allow_nan=False)

    report = json.loads(text)
    assert report["windows"] == 96
    assert report["labels"][0]["scores"]["encoder"]["mae"].keys() == {"value", "low", "high"}
    assert report["settings"]["labels"] == ["hr_bpm", "pace"]
    assert report["encoder"]["architecture"]["base_filters"] == 4


def test_without_references_only_the_spectrum_and_the_mean_stand_beside(encoder_folder, windows):
    result = evaluate(load_encoder(encoder_folder), windows, quickly("hr_bpm"))

    (report,) = result.labels
    assert set(report.scores) == {"encoder", "log_spectrum", "mean"}
    assert (report.label_efficiency, report.robustness) == ([], [])


def test_windows_that_cannot_be_embedded_are_counted_and_left_out(encoder_folder, windows):
    signal = windows.signal.copy()
    signal[3] = 0.0
    spoilt = LabelledWindows(signal, windows.fs_hz, windows.subjects, windows.labels)

    result = evaluate(load_encoder(encoder_folder), spoilt, quickly("hr_bpm"))

    assert (result.data.windows, result.data.refused) == (95, 1)


@pytest.mark.parametrize("values", [np.tile([0.0, 1.0], 48), np.tile(["no", "yes"], 48)])
def test_labels_of_two_values_are_classified(encoder_folder, windows, values):
    data = LabelledWindows(windows.signal, windows.fs_hz, windows.subjects, {"alarm": values})

    result = evaluate(load_encoder(encoder_folder), data, quickly())

    (report,) = result.labels
    assert report.task == "classification"
    assert report.classes in {("0", "1"), ("no", "yes")}


def test_a_class_of_a_single_person_is_left_out_and_the_mean_then_knows_nothing(
    encoder_folder, windows
):
    people = np.unique(windows.subjects)
    ward_of = dict(zip(people, ["ccu"] * 3 + ["micu"] * 4 + ["sicu"], strict=True))
    ward = np.array([ward_of[person] for person in windows.subjects])
    data = replace(windows, labels={"ward": ward})

    (report,) = evaluate(load_encoder(encoder_folder), data, quickly()).labels

    assert (report.classes, report.left_out) == (("ccu", "micu"), ("sicu",))
    assert (report.windows, report.subjects) == (84, 7)
    assert report.scores["mean"]["auroc"].value == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["encoder", "mean", "untrained", "neurokit", "spectral_peak"])
def test_a_name_that_has_a_meaning_is_refused_for_an_encoder_beside(encoder_folder, windows, name):
    encoder = load_encoder(encoder_folder)

    with pytest.raises(InputError, match=f"cannot be called '{name}'"):
        evaluate(encoder, windows, quickly("hr_bpm"), beside={name: encoder})


@pytest.mark.parametrize(
    ("label", "values", "message"),
    [
        ("absent", None, "the data has only"),
        ("constant", np.full(96, 3.0), "the same value everywhere"),
        ("name", np.array([f"w{i}" for i in range(96)]), "text with 96 values"),
        ("lonely", np.repeat([0.0, 1.0], [84, 12]), "fewer than two of its values"),
        ("rare", np.where(np.arange(96) < 12, 1.0, math.nan), "1 subjects have a value"),
    ],
)
def test_a_label_that_cannot_be_probed_is_refused_with_the_reason(
    encoder_folder, windows, label, values, message
):
    labels = windows.labels if values is None else {label: values}
    data = LabelledWindows(windows.signal, windows.fs_hz, windows.subjects, labels)

    with pytest.raises(InputError, match=f"'{label}' cannot be probed: .*{message}"):
        evaluate(load_encoder(encoder_folder), data, quickly(label))
