"""Which windows the health figures look at, who neighbours whom, and what is missing."""

import numpy as np
import pytest
from runs import pulse_dataset

from ppgssl.data.dataset import Dataset
from ppgssl.training.held_out import HeldOut, ProbeFit, find_neighbours, spread_out


def held_out_of(dataset: Dataset) -> HeldOut:
    val, train = dataset.split("val"), dataset.split("train")
    return HeldOut(val, train, fs_hz=dataset.fs_hz, buffer_mb=1.0, seed=0)


def test_few_windows_are_all_chosen():
    assert spread_out(5, 10).tolist() == [0, 1, 2, 3, 4]


def test_of_many_windows_stretches_from_the_first_to_the_last_are_chosen():
    rows = spread_out(1000, 64)

    assert len(rows) == len(set(rows.tolist())) == 64
    assert (rows[0], rows[-1]) == (0, 999)
    assert np.sum(np.diff(rows) == 1) == 4 * 15  # four stretches of sixteen neighbours


def test_neighbours_follow_each_other_in_one_recording_with_at_most_one_window_between():
    recordings = np.array(["b", "a", "a", "a", "b", "a"])
    start_s = np.array([0.0, 10.0, 0.0, 30.0, 10.0, 60.0])  # in a: 0, 10, 30 and 60 s

    pairs = find_neighbours(recordings, start_s, window_s=10.0)

    assert pairs.tolist() == [[2, 1], [1, 3], [0, 4]]


def test_windows_of_unknown_time_have_no_neighbours():
    unknown = np.full(4, np.nan)

    assert not len(find_neighbours(np.full(4, "a"), unknown, window_s=10.0))


def test_places_count_from_the_start_of_a_batch(tmp_path):
    held_out = held_out_of(pulse_dataset(tmp_path, val=40))
    held_out.rows = np.array([1, 4, 6, 7])

    assert held_out.places(4, 7).tolist() == [0, 2]


def test_the_heart_rates_are_those_of_the_denoised_windows(tmp_path):
    dataset = pulse_dataset(tmp_path, val=20)
    rate_hz = np.random.default_rng(1).uniform(0.8, 2.0, size=20)  # as runs.pulses draws them

    heart_rates = held_out_of(dataset).heart_rates

    assert np.median(np.abs(heart_rates - 60 * rate_hz)) < 3.0


def test_the_probe_is_fitted_on_the_same_training_windows_every_time(tmp_path):
    probe = ProbeFit(
        pulse_dataset(tmp_path).split("train"), 10, fs_hz=25.0, buffer_mb=0.005, seed=3
    )

    first, again = (
        np.concatenate([batch.window_id.copy() for batch in probe.batches(size)]) for size in (4, 7)
    )

    assert len(first) == len(set(first.tolist())) == probe.num_windows == 10
    assert first.tolist() == again.tolist()
    assert len(probe.heart_rates) == 10


def test_of_a_small_training_split_all_windows_are_fitted(tmp_path):
    held_out = held_out_of(pulse_dataset(tmp_path, val=8))

    assert held_out.probe is not None
    assert len(held_out.probe.heart_rates) == 22


@pytest.mark.parametrize(
    ("val", "expected"),
    [(1, ["alignment is", "the heart rate probe is"]), (6, ["the heart rate probe is"]), (8, [])],
)
def test_what_cannot_be_measured_is_told_with_the_reason(tmp_path, val, expected):
    missing = held_out_of(pulse_dataset(tmp_path, val=val)).missing

    assert [reason.split(" not ")[0] for reason in missing] == expected


def test_the_probe_is_not_fitted_on_what_it_is_tested_on(tmp_path):
    windows = pulse_dataset(tmp_path, val=0).split("train")

    held_out = HeldOut(windows, None, fs_hz=25.0, buffer_mb=1.0, seed=0)

    assert held_out.probe is None
