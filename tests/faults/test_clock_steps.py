"""A clock that steps back and forth can cost an attempt or a delay; never a job, never a point."""

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import stepping_worker
from damage import damage
from job_clock import Clock
from sqlalchemy import Engine
from worker_bench import Bench

from ppgssl.jobs.errors import LeaseLostError
from ppgssl.jobs.records import Claim, LossPoint, NewJob, Report
from ppgssl.jobs.store import JobStore

LEASE = timedelta(seconds=60)
HOUR_S = 3600.0


class Machine:
    """One of several machines on one job table, with a clock of its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self.clock = Clock()
        self.store = JobStore(engine, clock=self.clock)

    def claim(self) -> Claim:
        claim = self.store.claim(self.name, ["fake"], LEASE)
        assert claim is not None
        return claim


@pytest.fixture
def first(engine: Engine) -> Machine:
    return Machine(engine, "first")


@pytest.fixture
def second(engine: Engine) -> Machine:
    return Machine(engine, "second")


def create(machine: Machine) -> str:
    return machine.store.create(NewJob("fake", {}, max_attempts=100)).id


def points(*steps: int) -> Report:
    return Report(points=[LossPoint(step, 1, "train", {"total": 1 / step}) for step in steps])


def test_a_step_forward_takes_a_job_from_its_worker_whose_writes_are_then_refused(
    first: Machine, second: Machine
):
    job_id = create(first)
    held = first.claim()
    first.store.record(held.lease, points(1, 2))

    second.clock.advance(HOUR_S)
    taken = second.store.recover_expired()
    second.store.record(second.claim().lease, points(2, 3))

    assert [job.id for job in taken] == [job_id]
    with pytest.raises(LeaseLostError):
        first.store.record(held.lease, points(4))
    with pytest.raises(LeaseLostError):
        first.store.succeed(held.lease)
    assert [row.step for row in first.store.losses(job_id)] == [1, 2, 3]


def test_a_step_back_of_the_holder_makes_it_lose_the_job_and_not_share_it(
    first: Machine, second: Machine
):
    create(first)
    held = first.claim()

    first.clock.advance(-HOUR_S)
    first.store.renew_lease(held.lease, LEASE)
    taken = second.store.recover_expired()

    assert len(taken) == 1
    with pytest.raises(LeaseLostError):
        first.store.renew_lease(held.lease, LEASE)


def test_a_clock_that_is_behind_takes_lost_jobs_later_and_no_living_ones(
    first: Machine, second: Machine
):
    create(first)
    first.claim()

    second.clock.advance(-HOUR_S)
    early = second.store.recover_expired()
    second.clock.advance(HOUR_S + LEASE.total_seconds() + 1)
    late = second.store.recover_expired()

    assert (len(early), len(late)) == (0, 1)


def test_jobs_are_claimed_in_the_order_of_their_creation_whatever_the_clock_said(first: Machine):
    created = []
    for seconds in (0, HOUR_S, -2 * HOUR_S):
        first.clock.advance(seconds)
        created.append(create(first))

    assert [first.claim().job.id for _ in created] == created


def test_no_job_runs_for_less_than_no_time(first: Machine):
    create(first)
    held = first.claim()

    first.clock.advance(-HOUR_S)
    job = first.store.hand_back(held.lease, "told to stop")

    assert job.ran_s == 0


@pytest.mark.parametrize("seed", range(5))
def test_two_machines_whose_clocks_jump_finish_every_job_once(engine: Engine, seed: int):
    chance = random.Random(seed)
    machines = [Machine(engine, "first"), Machine(engine, "second")]
    jobs = [create(machines[0]) for _ in range(4)]
    claims: dict[str, Claim] = {}

    def act(machine: Machine) -> None:
        claim = claims.get(machine.name)
        if claim is None:
            machine.store.recover_expired()
            claim = machine.store.claim(machine.name, ["fake"], LEASE)
            if claim is not None:
                claims[machine.name] = claim
            return
        step = chance.randint(1, 9)
        moves: list[Callable[[], object]] = [
            lambda: machine.store.renew_lease(claim.lease, LEASE),
            lambda: machine.store.record(claim.lease, points(*range(1, step + 1))),
            lambda: machine.store.succeed(claim.lease),
        ]
        with suppress(LeaseLostError):
            move = chance.choices(moves, [5, 5, 1])[0]
            move()
            if move is not moves[2]:
                return
        del claims[machine.name]

    while any(not machines[0].store.get(job_id).status.is_finished for job_id in jobs):
        machine = chance.choice(machines)
        machine.clock.advance(chance.uniform(-120, 120))
        act(machine)

    for job_id in jobs:
        events = machines[0].store.events(job_id).items
        told = [point["step"] for e in events if e.type == "losses" for point in e.data["points"]]
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        assert [event.is_terminal for event in events].count(True) == 1
        assert events[-1].is_terminal
        assert told == sorted(set(told))


def test_a_worker_whose_clock_steps_beside_one_whose_clock_is_right(bench: Bench):
    jobs = [bench.create(steps=25, step_s=0.02, max_attempts=100) for _ in range(4)]

    bench.start_worker()
    bench.start_worker([sys.executable, str(Path(stepping_worker.__file__))])
    for job_id in jobs:
        bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert [damage(bench, job_id, 25) for job_id in jobs] == [[]] * 4
