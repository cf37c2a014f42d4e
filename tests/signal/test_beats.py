"""Crests on pulses whose beats were placed by hand."""

import numpy as np

from ppgssl.signal.beats import find_crests

FS_HZ = 100.0


def bumps(crest_s: list[float], *, seconds: float = 10.0) -> np.ndarray:
    """A pulse of 80 ms around every crest, and a dicrotic wave of a third of it 0.35 s later."""
    at = np.arange(round(seconds * FS_HZ)) / FS_HZ
    distance = at - np.array(crest_s)[:, None]
    waves = (
        np.exp(-0.5 * (distance / 0.08) ** 2) + np.exp(-0.5 * ((distance - 0.35) / 0.08) ** 2) / 3
    )
    return waves.sum(axis=0)


def test_every_crest_is_found_once_at_its_place_and_dicrotic_waves_are_not():
    placed = [0.6, 1.5, 2.3, 3.2, 4.0, 4.9, 5.8, 6.6, 7.5, 8.3, 9.2]

    (crests,) = find_crests(bumps(placed)[None], FS_HZ)

    np.testing.assert_allclose(crests / FS_HZ, placed, atol=0.03)


def test_each_window_has_the_crests_that_it_has_alone():
    windows = np.stack([bumps([1, 2, 3, 4, 5, 6, 7, 8, 9]), 700 * bumps([1.5, 3, 4.5, 6, 7.5, 9])])

    together = find_crests(windows, FS_HZ)

    assert [len(crests) for crests in together] == [9, 6]
    for row, crests in enumerate(together):
        np.testing.assert_array_equal(find_crests(windows[row : row + 1], FS_HZ)[0], crests)


def test_a_flat_window_has_no_crest():
    (crests,) = find_crests(np.full((1, 1000), 7.0, dtype=np.float32), FS_HZ)

    assert len(crests) == 0
