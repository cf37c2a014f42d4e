"""Thinning for drawing: nothing that stands out is lost."""

import numpy as np
import pytest

from ppgssl.signal.thinning import envelope


def test_a_short_signal_is_kept_whole():
    assert envelope(np.zeros(10), 10).tolist() == list(range(10))


@pytest.mark.parametrize("at", [0, 1, 37_123, 74_999])
@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_a_single_odd_sample_of_ten_minutes_stays(at: int, value: float):
    x = np.zeros(75_000)
    x[at] = value

    assert at in envelope(x, 1000)


def test_no_more_points_are_kept_than_asked_for_and_the_ends_are_among_them():
    x = np.random.default_rng(0).normal(size=75_000)

    kept = envelope(x, 1000)

    assert len(kept) <= 1000
    assert (kept[0], kept[-1]) == (0, 74_999)
    assert (np.diff(kept) > 0).all()


def test_missing_samples_hide_no_peak():
    x = np.zeros(1000)
    x[100:110], x[105] = np.nan, 5.0

    assert 105 in envelope(x, 50)


def test_fewer_than_four_points_draw_nothing():
    with pytest.raises(ValueError, match="at least 4, got 3"):
        envelope(np.zeros(10), 3)
