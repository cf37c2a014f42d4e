"""Many claimants at once: every job goes to exactly one of them, and nobody finds a lock."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Engine

from ppgssl.jobs.records import LossPoint, NewJob, Report
from ppgssl.jobs.store import JobStore

JOBS = 300
LEASE = timedelta(seconds=60)

CLAIM = """
import sys, threading
from datetime import timedelta
from ppgssl.jobs.database import open_database
from ppgssl.jobs.store import JobStore

engine = open_database(sys.argv[1])
store = JobStore(engine)
claimed = []

def claim_all(name):
    while (claim := store.claim(name, ["pretrain"], timedelta(seconds=60))) is not None:
        claimed.append(claim.job.id)

threads = [threading.Thread(target=claim_all, args=(f"worker-{n}",)) for n in range(2)]
sys.stdin.read(1)
for thread in threads: thread.start()
for thread in threads: thread.join()
engine.dispose()
print(*claimed, sep="\\n")
"""


def test_four_processes_of_two_threads_claim_every_job_once(engine: Engine, database_url: str):
    store = JobStore(engine)
    created = {store.create(NewJob("pretrain", {})).id for _ in range(JOBS)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    for process in processes:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.close()
        process.stdin = None
    outcomes = [process.communicate() for process in processes]

    claimed = [job_id for out, _ in outcomes for job_id in out.split()]
    assert [error for _, error in outcomes] == [""] * 4  # no "database is locked"
    assert len(claimed) == JOBS
    assert set(claimed) == created


def test_one_key_sent_by_eight_threads_at_once_creates_one_job(engine: Engine):
    store = JobStore(engine)

    ids = set(in_threads(8, lambda _: store.create(NewJob("pretrain", {}), idempotency_key="k").id))

    assert len(ids) == 1
    assert len(store.jobs().items) == 1


def test_heartbeats_readers_and_writers_do_not_get_in_each_others_way(engine: Engine):
    store = JobStore(engine)
    job_id = store.create(NewJob("pretrain", {})).id
    claimed = store.claim("worker-1", ["pretrain"], LEASE)
    assert claimed is not None

    def work(n: int) -> int:
        if n % 4 == 0:
            store.renew_lease(claimed.lease, LEASE)
        elif n % 4 == 1:
            store.record(claimed.lease, Report(points=[LossPoint(n, 1, "train", {"total": 1.0})]))
        elif n % 4 == 2:
            store.events(job_id)
        else:
            store.create(NewJob("pretrain", {}))
        return n

    done = list(in_threads(40, work))

    assert sorted(done) == list(range(40))
    assert [row.step for row in store.losses(job_id)] == list(range(1, 40, 4))
    events = store.events(job_id).items
    assert [event.id for event in events] == list(range(1, len(events) + 1))


def in_threads(count: int, work) -> Iterator:
    """What `work(n)` returns for each n, all of them at once; what failed is missing."""
    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(work(n))) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return iter(answers)
