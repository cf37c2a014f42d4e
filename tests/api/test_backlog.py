"""How long those wait who come now."""

import pytest

from api.encoder_process.backlog import Backlog


class Clock:
    """Shows what it is set to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backlog(clock: Clock) -> Backlog:
    """Of a hundred samples a second."""
    made = Backlog(clock)
    made.add(0, 200)
    clock.now_s = 2.0
    made.lessen([(0, 200)])
    made.remove(0)
    return made


def test_the_wait_is_unknown_before_the_first_batch():
    backlog = Backlog()
    backlog.add(1, 100)

    assert backlog.wait_s() == 0


def test_the_wait_is_that_for_all_that_is_not_computed(backlog: Backlog):
    backlog.add(1, 100)
    backlog.add(2, 300)
    assert backlog.wait_s() == pytest.approx(4)

    backlog.remove(2)
    assert backlog.wait_s() == pytest.approx(1)

    backlog.remove(1)
    assert backlog.wait_s() == 0


def test_what_is_computed_of_a_request_is_not_waited_for(backlog: Backlog, clock: Clock):
    backlog.add(1, 400)
    clock.now_s += 1.0
    backlog.lessen([(1, 100)])

    assert backlog.wait_s() == pytest.approx(3)


def test_what_is_computed_of_a_request_that_is_gone_counts_no_more(backlog: Backlog, clock: Clock):
    backlog.add(1, 100)
    backlog.add(2, 300)
    backlog.remove(2)

    clock.now_s += 3.0
    backlog.lessen([(2, 300)])
    backlog.remove(2)

    assert backlog.wait_s() == pytest.approx(1)


def test_time_without_requests_makes_nothing_slower(backlog: Backlog, clock: Clock):
    clock.now_s += 1000.0
    backlog.add(1, 100)
    clock.now_s += 1.0
    backlog.lessen([(1, 100)])
    backlog.remove(1)

    backlog.add(2, 100)
    assert backlog.wait_s() == pytest.approx(1)


def test_batches_that_end_together_count_with_the_time_that_both_took(
    backlog: Backlog, clock: Clock
):
    for _ in range(20):
        backlog.add(1, 200)
        clock.now_s += 1.0
        backlog.lessen([(1, 100)])
        backlog.lessen([(1, 100)])
        backlog.remove(1)

    backlog.add(2, 200)
    assert backlog.wait_s() == pytest.approx(1, rel=0.2)


def test_the_latest_batches_count_most(backlog: Backlog, clock: Clock):
    backlog.add(1, 1000)
    for _ in range(20):
        clock.now_s += 1.0
        backlog.lessen([(1, 10)])

    assert backlog.wait_s() == pytest.approx(800 / 10, rel=0.1)
