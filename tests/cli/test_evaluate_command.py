"""`ppgssl evaluate` as a user runs it: results on stdout, progress on stderr, errors in a line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ppgssl.cli.main import app
from ppgssl.data.simulated import write_simulated

QUICK = ("--no-label-efficiency", "--no-robustness", "--no-references", "--label", "hr_bpm")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_simulated(folder, subjects=6, minutes=1, fs_hz=125, seed=0, on_subject=lambda _: None)
    return folder


def evaluate(encoder: Path, recordings: Path, *options: str) -> Result:
    where = ["--encoder", str(encoder), "--data", str(recordings)]
    return CliRunner().invoke(app, ["evaluate", *where, *QUICK, *options])


def test_the_scores_are_printed_as_json(encoder_folder, recordings):
    done = evaluate(encoder_folder, recordings, "--json")

    (report,) = json.loads(done.stdout)["labels"]
    score = report["scores"]["encoder"]["mae"]
    assert score["low"] <= score["value"] <= score["high"]
    assert (report["windows"], report["subjects"]) == (36, 6)


def test_the_scores_are_printed_as_a_table_with_a_sentence(encoder_folder, recordings):
    done = evaluate(encoder_folder, recordings)

    assert "log_spectrum" in done.stdout
    assert "hr_bpm, 36 windows of 6 people: the embeddings are" in done.stdout


def test_longer_windows_overlap_and_a_report_is_written(encoder_folder, recordings, tmp_path):
    hop = ("--window-seconds", "30", "--hop-seconds", "15")

    done = evaluate(encoder_folder, recordings, *hop, "--report", str(tmp_path / "report"))

    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert done.exit_code == 0
    assert report["windows"] == 6 * 3
    assert report["settings"]["hop_seconds"] == 15
    assert "report.md" in done.stderr


def test_another_encoder_is_held_beside_it(encoder_folder, recordings):
    done = evaluate(encoder_folder, recordings, "--beside", f"twin={encoder_folder}", "--json")

    (report,) = json.loads(done.stdout)["labels"]
    assert report["scores"]["twin"] == report["scores"]["encoder"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--beside", "nameless"), "--beside expects NAME=PATH"),
        (("--label", "mood"), "label 'mood' cannot be probed"),
        (("--window-seconds", "inf"), "--window-seconds expects a number of seconds"),
        (("--hop-seconds", "inf"), "--hop-seconds expects a number of seconds"),
        (("--report", __file__), "--report expects a folder that can be written"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(
    encoder_folder, recordings, options, message
):
    done = evaluate(encoder_folder, recordings, *options)

    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""
