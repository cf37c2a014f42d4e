"""How fast a job went: bounded rows, averages known beforehand, nothing told twice."""

from datetime import timedelta
from typing import Any

import pytest

from ppgssl.jobs.queries.pace import AVERAGED, HIGHEST, NEWEST, ROWS_LIMIT, joined
from ppgssl.jobs.records import Claim, NewJob, Report
from ppgssl.jobs.store import JobStore

LEASE = timedelta(seconds=60)


def begin(store: JobStore) -> Claim:
    store.create(NewJob("fake", {}))
    claim = store.claim("worker", ["fake"], LEASE)
    assert claim is not None
    return claim


def tell(store: JobStore, claim: Claim, step: int, **figures: Any) -> None:
    progress = {"epoch": 1, "step": step, "steps": 10_000} | figures
    store.record(claim.lease, Report(progress=progress))


def test_every_report_of_a_short_run_is_kept(store: JobStore):
    claim = begin(store)
    tell(store, claim, 1, windows_per_s=8.0, eta_s=9999.0, learning_rate=0.1)
    tell(store, claim, 3, windows_per_s=4.0, device_memory_bytes=5 * 2**30)

    first, second = store.pace(claim.job.id)

    assert (first.step, first.reports, second.step) == (1, 1, 3)
    assert first.values == {
        **{"epoch": 1, "learning_rate": 0.1, "windows_per_s": 8.0, "step_s": 1.0},
        **{"device_utilisation": None, "device_memory_bytes": None},
    }
    assert second.values["device_memory_bytes"] == 5 * 2**30


def test_old_ground_of_a_resumed_run_is_not_told_again(store: JobStore):
    claim = begin(store)
    for step in (10, 20, 5, 20, 30):
        tell(store, claim, step, windows_per_s=1.0 * step)

    assert [row.step for row in store.pace(claim.job.id)] == [10, 20, 30]


def test_rows_stay_bounded_and_stretches_equally_long(store: JobStore):
    claim = begin(store)
    for step in range(1, ROWS_LIMIT + 4):
        tell(store, claim, step, windows_per_s=float(step))

    rows = store.pace(claim.job.id)

    assert [row.number for row in rows] == list(range(ROWS_LIMIT // 2 + 2))
    assert [row.reports for row in rows] == [2] * (ROWS_LIMIT // 2 + 1) + [1]
    assert [row.step for row in rows[:3]] == [2, 4, 6]
    assert [row.values["windows_per_s"] for row in rows[:2]] == [1.5, 3.5]
    assert rows[-1].step == ROWS_LIMIT + 3


def test_the_pace_goes_with_its_job(store: JobStore):
    claim, other = begin(store), begin(store)
    tell(store, claim, 1)
    tell(store, other, 1)
    store.succeed(claim.lease)

    store.delete(claim.job.id)

    assert len(store.pace(other.job.id)) == 1


@pytest.mark.parametrize(
    ("name", "earlier", "later", "both"),
    [
        ("windows_per_s", 2.0, 6.0, 3.0),  # three reports against one
        ("step_s", None, 6.0, 6.0),
        ("step_s", 2.0, None, 2.0),
        ("device_memory_bytes", 7, 5, 7),
        ("learning_rate", 0.1, 0.2, 0.2),
        ("device_utilisation", None, None, None),
    ],
)
def test_two_stretches_are_joined_by_what_each_figure_means(
    name: str, earlier: Any, later: Any, both: Any
):
    nothing = dict.fromkeys((*NEWEST, *AVERAGED, *HIGHEST))

    found = joined(nothing | {name: earlier}, 3, nothing | {name: later}, 1)

    assert found == nothing | {name: both}
