"""How jobs, datasets and encoders show themselves in a notebook."""

from pathlib import Path

from ppgssl.client.records import job_record
from ppgssl.data.dataset import Dataset
from ppgssl.html import facts_table
from ppgssl.inference.encoder import load_encoder

JOB = {
    **{"id": "job_01", "kind": "pretrain", "name": "<b>mine</b>", "status": "running"},
    **{"dataset": "made", "config": {}, "created_at": "2026-01-01T00:00:00+00:00"},
    **{"started_at": None, "finished_at": None, "attempt": 1, "best": None, "error": None},
    **{"warnings": ["rank & file"], "metadata": {}, "cloned_from": None},
    "progress": {
        **{"epoch": 1, "epochs": 4, "step": 1, "steps": 4, "fraction": 0.25},
        **{"eta_s": None, "windows_per_s": None},
    },
}


def test_what_is_not_known_is_left_out_and_numbers_are_short():
    table = facts_table("it", {"a": None, "b": [], "c": 1 / 3, "d": {"x": 2.0}})

    assert "<th style='text-align:left'>c</th><td style='text-align:left'>0.3333</td>" in table
    assert "x 2" in table
    assert ">a<" not in table
    assert ">b<" not in table


def test_a_job_shows_how_far_it_is_and_escapes_what_users_wrote():
    table = job_record(JOB)._repr_html_()

    assert "<progress value='0.2500' max='1'>" in table
    assert "&lt;b&gt;mine&lt;/b&gt;" in table
    assert "rank &amp; file" in table


def test_an_encoder_says_what_it_was_trained_on():
    table = load_encoder("default")._repr_html_()

    assert "512 numbers" in table
    assert "windows of 60 s at 125 Hz" in table


def test_a_dataset_counts_its_windows():
    dataset = Dataset(
        **{"path": Path("wrists"), "fs_hz": 64.0, "window_samples": 640, "counts": {"train": 7}},
        **{"preprocessing": {}, "manifest": {}, "labels": ("hr_bpm",), "warnings": ()},
        _source_of=lambda split: None,
    )

    table = dataset._repr_html_()

    assert "dataset wrists" in table
    assert "train 7" in table
    assert "640 samples at 64 Hz" in table
