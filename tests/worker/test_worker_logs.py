"""Which job and attempt a worker's log lines belong to."""

import json
import logging
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.exc import OperationalError
from worker_bench import Bench

from ppgssl.jobs.records import Lease, NewJob
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.structured_logging import JsonFormatter
from worker.heartbeat import Heartbeat
from worker.inbox import Inbox
from worker.main import Worker
from worker.stop_request import StopRequest


class AwayStore:
    """A job table that cannot be reached."""

    def renew_lease(self, *_: object) -> None:
        raise OperationalError("UPDATE", None, Exception("away"))


def test_a_lost_heartbeat_is_logged_with_worker_job_and_attempt(caplog: pytest.LogCaptureFixture):
    lease = Lease("job_1", "token", "worker-1", attempt=2, number=1)
    store = cast(JobStore, AwayStore())

    with Heartbeat(store, lease, every_seconds=0.001, lease_seconds=60):
        while not caplog.records:
            time.sleep(0.001)

    [line, *_] = lines(caplog)
    assert line["level"] == logging.getLevelName(logging.WARNING)
    assert (line["worker_id"], line["job_id"], line["attempt"]) == ("worker-1", "job_1", 2)


def test_a_checkpoint_that_was_replaced_is_logged_with_worker_job_and_attempt(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    caplog.set_level(logging.INFO)
    inbox = Inbox(tmp_path, Lease("job_1", "token", "worker-1", attempt=2, number=1))

    message = {"type": "checkpoint", "name": "last", "folder": str(tmp_path / "gone")}
    inbox.add_message(json.dumps(message) + "\n")

    [line] = lines(caplog)
    assert (line["worker_id"], line["job_id"], line["attempt"]) == ("worker-1", "job_1", 2)


def test_a_job_taken_from_a_lost_worker_is_logged_with_worker_job_and_attempt(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    job = bench.store.create(NewJob("fake", {}))
    bench.store.claim("lost", ["fake"], timedelta(0))
    stop = StopRequest()
    settings = bench.settings.model_copy(update={"poll_seconds": 0.001})
    worker = Worker(bench.store, settings, kinds={}, stop=stop)

    thread = threading.Thread(target=worker.run)
    thread.start()
    while not caplog.records:
        time.sleep(0.001)
    stop.set()
    thread.join()

    [line] = lines(caplog)
    assert line["message"] == "took a job from a lost worker: queued"
    assert (line["worker_id"], line["job_id"], line["attempt"]) == (worker.worker_id, job.id, 1)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What was logged, as it is written to stderr."""
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records]
