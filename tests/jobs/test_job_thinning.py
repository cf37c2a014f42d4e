"""Thinning a curve: known answers, and invariants over many curves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.jobs.thinning import share_points, thin

curves = st.lists(st.none() | st.floats(-10, 10), max_size=200)


def test_a_short_curve_stays_whole():
    assert thin([3.0, 1.0, 2.0], 3) == [0, 1, 2]


def test_a_single_spike_among_a_thousand_points_survives():
    values = [1.0] * 1000
    values[617] = 9.0

    assert 617 in thin(values, 10)


@pytest.mark.parametrize(("max_points", "kept"), [(1, [5]), (2, [0, 5]), (3, [0, 3, 5])])
def test_the_last_point_outlives_the_first_and_the_first_the_smallest(
    max_points: int, kept: list[int]
):
    assert thin([5.0, 4.0, 6.0, 1.0, 2.0, 3.0], max_points) == kept


def test_points_without_a_value_are_no_extremes():
    assert thin([1.0, None, None, None, None, 2.0], 4) == [0, 5]


@given(curves, st.integers(4, 50))
def test_ends_and_extremes_stay_within_the_number_asked_for(
    values: list[float | None], max_points: int
):
    kept = thin(values, max_points)

    finite = [value for value in values if value is not None]
    kept_values = [values[i] for i in kept]
    assert kept == sorted(set(kept))
    assert len(kept) <= max_points
    assert not values or {0, len(values) - 1} <= set(kept)
    assert not finite or {min(finite), max(finite)} <= set(kept_values)


def test_thinning_to_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        thin([1.0], 0)


@pytest.mark.parametrize(
    ("counts", "max_points", "shares"),
    [
        ({"train": 1000, "val": 10}, 100, {"val": 10, "train": 90}),
        ({"train": 1000, "val": 1000}, 100, {"val": 50, "train": 50}),
        ({"train": 5}, 100, {"train": 5}),
        ({}, 100, {}),
    ],
)
def test_short_curves_stay_whole_and_the_rest_is_shared(
    counts: dict[str, int], max_points: int, shares: dict[str, int]
):
    assert share_points(counts, max_points) == shares
