"""What the API writes down of requests."""

import json
import logging
import time
from typing import Any

import pytest

from ppgssl.jobs.structured_logging import JsonFormatter

PATIENCE_S = 10.0


def request_line(caplog: pytest.LogCaptureFixture, request_id: str) -> dict[str, Any]:
    """The line of one request as it is written, which may be after its answer has come."""
    deadline = time.monotonic() + PATIENCE_S
    while (record := _record_of(caplog, request_id)) is None:
        assert time.monotonic() < deadline, f"no line of request {request_id} in: {caplog.text}"
        time.sleep(0.005)
    return json.loads(JsonFormatter().format(record))


def _record_of(caplog: pytest.LogCaptureFixture, request_id: str) -> logging.LogRecord | None:
    records = (r for r in caplog.records if getattr(r, "request_id", None) == request_id)
    return next(records, None)
