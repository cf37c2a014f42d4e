"""Which windows the health figures look at, who neighbours whom, and what is missing."""

import numpy as np
import pytest
from runs import pulse_dataset

from ppgssl.training.held_out import HeldOut, find_neighbours, halve, spread_out


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
    in_time = np.lexsort((start_s, recordings))

    pairs = find_neighbours(recordings, start_s, in_time, window_s=10.0)

    assert pairs.tolist() == [[2, 1], [1, 3], [0, 4]]


def test_windows_of_unknown_time_have_no_neighbours():
    unknown = np.full(4, np.nan)

    assert not len(find_neighbours(np.full(4, "a"), unknown, np.arange(4), window_s=10.0))


def test_the_halves_share_no_subject_and_are_about_equal():
    subjects = np.array(["a"] * 5 + ["b"] * 3 + ["c"] * 3)

    first_half = halve(subjects, np.arange(11))

    assert set(subjects[first_half]) == {"a"}
    assert set(subjects[~first_half]) == {"b", "c"}


def test_a_single_subject_is_halved_by_time():
    first_half = halve(np.full(4, "a"), np.array([3, 1, 0, 2]))

    assert np.flatnonzero(first_half).tolist() == [1, 3]


def test_places_count_from_the_start_of_a_batch(tmp_path):
    windows = pulse_dataset(tmp_path, val=40).split("val")
    held_out = HeldOut(windows, fs_hz=25.0, buffer_mb=1.0)
    held_out.rows = np.array([1, 4, 6, 7])

    assert held_out.places(4, 7).tolist() == [0, 2]


def test_the_heart_rates_are_those_of_the_denoised_windows(tmp_path):
    windows = pulse_dataset(tmp_path, val=20).split("val")
    rate_hz = np.random.default_rng(1).uniform(0.8, 2.0, size=20)  # as runs.pulses draws them

    heart_rates = HeldOut(windows, fs_hz=25.0, buffer_mb=1.0).heart_rates

    assert np.median(np.abs(heart_rates - 60 * rate_hz)) < 3.0


@pytest.mark.parametrize(
    ("val", "expected"),
    [(1, ["alignment is", "the heart rate probe is"]), (6, ["the heart rate probe is"]), (16, [])],
)
def test_what_cannot_be_measured_is_told_with_the_reason(tmp_path, val, expected):
    windows = pulse_dataset(tmp_path, val=val).split("val")

    missing = HeldOut(windows, fs_hz=25.0, buffer_mb=1.0).missing

    assert [reason.split(" not ")[0] for reason in missing] == expected
