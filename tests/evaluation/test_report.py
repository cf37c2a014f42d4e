"""A report's files, from an evaluation made by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppgssl.evaluation.label_efficiency import EfficiencyPoint
from ppgssl.evaluation.report import conclusion, markdown, write_report
from ppgssl.evaluation.results import (
    Comparison,
    DataFacts,
    EncoderFacts,
    Evaluation,
    FoldSize,
    HeldOut,
    LabelReport,
)
from ppgssl.evaluation.robustness import RobustnessPoint
from ppgssl.evaluation.scores import Score
from ppgssl.evaluation.settings import EvaluationSettings

PNG = b"\x89PNG\r\n"
GOOD, BAD, NONE = Score(1.5, 1.2, 1.9), Score(4.0, 3.0, 5.0), Score(float("nan"), 0.0, 0.0)
TRUE = np.linspace(50, 100, 40)

HEART_RATE = LabelReport(
    label="hr_bpm",
    task="regression",
    classes=(),
    left_out=(),
    windows=40,
    subjects=8,
    folds=[FoldSize(6, 30, 2, 10)] * 4,
    scores={
        "encoder": {"mae": GOOD, "pearson_r": Score(0.9, 0.8, 0.95)},
        "mean": {"mae": BAD, "pearson_r": NONE},
    },
    comparison=Comparison("mean", "mae", Score(-2.5, -3.5, -1.5), "better"),
    over_mean=Comparison("mean", "mae", Score(-2.5, -3.5, -1.5), "better"),
    label_efficiency=[
        EfficiencyPoint(share, people, name, "mae", score)
        for share, people in [(0.01, 1.0), (0.05, 1.0), (None, 5.0), (1.0, 6.0)]
        for name, score in [("encoder", GOOD), ("mean", BAD)]
    ],
    robustness=[RobustnessPoint("inverted", "encoder", "mae", BAD, 2.67)],
    held_out=HeldOut(TRUE, TRUE + 1),
)
RHYTHM = replace(
    HEART_RATE,
    label="rhythm",
    task="classification",
    classes=("af", "sinus"),
    left_out=("ectopic",),
    scores={name: {"auroc": GOOD, "balanced_accuracy": BAD} for name in ("encoder", "mean")},
    comparison=Comparison("mean", "auroc", Score(0.0, -0.1, 0.1), "no clear difference"),
    label_efficiency=[],
    robustness=[],
    held_out=HeldOut(np.tile([0, 1], 20), np.tile([[0.9, 0.1], [0.6, 0.4]], (20, 1))),
)
FACTS = EncoderFacts("c0ffee", {"base_filters": 4}, 125.0, 1250, 512, {}, 33.3)
EVALUATION = Evaluation(
    settings=EvaluationSettings(),
    encoder=FACTS,
    beside={"drawn": FACTS},
    data=DataFacts("made by hand", 125.0, 10.0, 40, 8, 2),
    missing=["neurokit: not installed"],
    labels=[HEART_RATE, RHYTHM],
)


def test_a_report_is_json_markdown_and_pictures(tmp_path: Path):
    written = write_report(EVALUATION, tmp_path / "new" / "report")

    names = [path.name for path in written]
    pictures = ["scores.png", "label-efficiency.png", "robustness.png", "predictions.png"]
    assert names == ["report.json", "report.md", *pictures]
    assert all(path.read_bytes().startswith(PNG) for path in written[2:])
    assert json.loads(written[0].read_text()) == EVALUATION.to_json()


def test_what_was_not_measured_has_no_picture_and_no_table(tmp_path: Path):
    quick = replace(EVALUATION, labels=[RHYTHM])

    written = write_report(quick, tmp_path)

    assert [path.name for path in written[2:]] == ["scores.png", "predictions.png"]
    assert "people to learn from" not in written[1].read_text()


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path):
    first, second = (write_report(EVALUATION, tmp_path / name) for name in "ab")

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("better", "clearly better than the best of the others, mean"),
        ("worse", "clearly worse than the best of the others, mean"),
        ("no clear difference", "not clearly different from the best of the others, mean"),
    ],
)
def test_the_sentence_says_what_the_comparison_found_also_when_that_is_nothing(verdict, words):
    comparison = replace(HEART_RATE.comparison, verdict=verdict)

    sentence = conclusion(replace(HEART_RATE, comparison=comparison))

    assert words in sentence
    assert "mean absolute error 1.5 (1.2 to 1.9) against 4 (3 to 5)" in sentence


@pytest.mark.parametrize("verdict", ["worse", "no clear difference"])
def test_the_sentence_says_when_nothing_was_read(verdict):
    useless = replace(HEART_RATE.over_mean, verdict=verdict)

    assert "nothing was read" not in conclusion(HEART_RATE)
    assert "nothing was read" in conclusion(replace(HEART_RATE, over_mean=useless))


def test_the_markdown_names_data_encoders_scores_and_what_is_missing():
    text = markdown(EVALUATION, ["scores.png"])

    assert "made by hand, 40 windows of 10 s at 125 Hz from 8 people" in text
    assert "Left out: 2 windows" in text
    assert "sha256 `c0ffee`" in text
    assert "effective rank 33.3" in text
    assert "Missing: neurokit: not installed" in text
    assert "| encoder | 1.5 (1.2 to 1.9) | 0.9 (0.8 to 0.95) |" in text
    assert "| 1 % (1 person) | 1.5 (1.2 to 1.9) | 4 (3 to 5) |" in text
    assert "| inverted | 4 (3 to 5), 2.67 x |" in text
    assert "one of af, sinus. Left out, as a single person has it: ectopic." in text
    assert "![scores](scores.png)" in text


def test_undefined_figures_are_null_in_json():
    report = EVALUATION.to_json()["labels"][0]

    assert report["scores"]["mean"]["pearson_r"]["value"] is None
    assert "held_out" not in report
