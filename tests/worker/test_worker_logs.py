"""Which job and attempt a worker's log lines belong to."""

import json
import logging
import time
from typing import cast

import pytest
from sqlalchemy.exc import OperationalError

from ppgssl.jobs.records import Lease
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.structured_logging import JsonFormatter
from worker.heartbeat import Heartbeat


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

    line = json.loads(JsonFormatter().format(caplog.records[0]))
    assert line["level"] == logging.getLevelName(logging.WARNING)
    assert (line["worker_id"], line["job_id"], line["attempt"]) == ("worker-1", "job_1", 2)
