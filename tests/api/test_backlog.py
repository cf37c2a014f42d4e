"""How long those wait who come now."""

import pytest

from api.encoder_process.backlog import NEWEST_SHARE, Backlog


@pytest.fixture
def backlog() -> Backlog:
    """A hundred samples a second."""
    made = Backlog()
    made.note_speed(cost=200, seconds=2.0)
    return made


def test_the_wait_is_unknown_before_the_first_batch():
    backlog = Backlog()
    backlog.add(1, 100)

    assert backlog.wait_s() == 0


def test_the_wait_is_that_for_all_that_is_not_computed(backlog: Backlog):
    backlog.add(1, 100)
    backlog.add(2, 300)
    assert backlog.wait_s() == pytest.approx(4)

    backlog.lessen(2, 200)
    assert backlog.wait_s() == pytest.approx(2)

    backlog.remove(1)
    backlog.remove(2)
    assert backlog.wait_s() == 0


def test_what_is_computed_of_a_request_that_is_gone_counts_no_more(backlog: Backlog):
    backlog.add(1, 100)
    backlog.add(2, 300)
    backlog.remove(2)

    backlog.lessen(2, 200)
    backlog.remove(2)

    assert backlog.wait_s() == pytest.approx(1)


def test_a_faster_batch_shortens_the_wait_by_its_share(backlog: Backlog):
    backlog.add(1, 100)
    backlog.note_speed(cost=200, seconds=1.0)

    assert backlog.wait_s() == pytest.approx(100 / (100 + 100 * NEWEST_SHARE))
