"""Long loss histories: what is kept of them, and that they are not read for it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.queries.loss_blocks import STEPS_PER_BLOCK
from ppgssl.jobs.records import LossPoint, NewJob, Report
from ppgssl.jobs.store import JobStore

STEPS = 20 * STEPS_PER_BLOCK
LEASE = timedelta(seconds=60)
SPIKE, DIP, GAP = 3333, 7777, 5000


def total_at(step: int) -> float | None:
    """A curve that falls, with a spike, a dip and a point that is not finite."""
    return {SPIKE: 99.0, DIP: -1.0, GAP: None}.get(step, 2 - step / STEPS)


def write(store: JobStore, *reports: range) -> str:
    """A job with these steps told, report by report; every hundredth is a val point too."""
    job_id = store.create(NewJob("fake", {})).id
    claim = store.claim("worker", ["fake"], LEASE)
    assert claim is not None
    for steps in reports:
        points = [LossPoint(step, 1, "train", {"total": total_at(step)}) for step in steps]
        vals = [LossPoint(step, 1, "val", {"total": 0.5}) for step in steps if step % 100 == 0]
        store.record(claim.lease, Report(points=[*points, *vals]))
    return job_id


def train_steps(store: JobStore, job_id: str, **asked: Any) -> list[int]:
    return [row.step for row in store.losses(job_id, split="train", **asked)]


def test_ends_and_extremes_of_a_long_history_stay(store: JobStore):
    job_id = write(store, range(1, STEPS // 2), range(STEPS // 2, STEPS + 1))

    rows = store.losses(job_id, max_points=30)

    train = [row.step for row in rows if row.split == "train"]
    assert len(rows) <= 30
    assert {1, SPIKE, DIP, STEPS} <= set(train)
    assert rows == sorted(rows, key=lambda row: (row.step, row.split))
    assert [row.total for row in rows] == [
        0.5 if row.split == "val" else total_at(row.step) for row in rows
    ]


def test_more_than_the_blocks_know_is_read_whole(store: JobStore):
    job_id = write(store, range(1, STEPS + 1))

    assert train_steps(store, job_id, max_points=STEPS) == list(range(1, STEPS + 1))
    assert len(train_steps(store, job_id, max_points=STEPS // 2)) > STEPS // 4


@pytest.mark.parametrize("after", [SPIKE - 1, SPIKE, STEPS - 1, STEPS, 2**31 - 1])
def test_news_begin_in_the_middle_of_a_block(store: JobStore, after: int):
    job_id = write(store, range(1, STEPS + 1))

    steps = train_steps(store, job_id, after_step=after, max_points=20)

    assert len(steps) <= 20
    assert steps[:1] + steps[-1:] == ([after + 1, STEPS] if after < STEPS else [])
    assert (SPIKE in steps) == (after < SPIKE)


def test_what_is_told_again_or_late_is_counted_once(store: JobStore):
    once = write(store, range(1, STEPS + 1))

    again = write(store, range(500, STEPS + 1), range(1, 1000), range(200, 600))

    assert train_steps(store, again, max_points=30) == train_steps(store, once, max_points=30)


def test_a_long_history_is_not_read_to_be_drawn(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path}/jobs.sqlite")
    migrate(engine)
    store = JobStore(engine)
    job_id = write(store, range(1, STEPS + 1))
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    store.losses(job_id, max_points=30)
    event.remove(engine, "before_cursor_execute", note)

    with engine.connect() as connection:
        plans = [
            row[3]
            for statement, parameters in asked
            if "FROM job_losses" in statement
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    engine.dispose()
    key = "SEARCH job_losses USING PRIMARY KEY"
    searches = [plan for plan in plans if "job_losses" in plan]
    assert sorted(set(searches)) == [
        f"{key} (job_seq=? AND step=? AND split=?)",  # points of the answer
        f"{key} (job_seq=? AND step>? AND step<?)",  # of the begun block: none from the beginning
    ]
