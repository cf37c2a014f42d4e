"""What the API writes down of each request."""

import json
import logging

import pytest
from live_service import Service

from ppgssl.jobs.structured_logging import JsonFormatter


def logged(caplog: pytest.LogCaptureFixture, request_id: str) -> dict[str, object]:
    """The line of the request with this id, as it is written."""
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    (line,) = [line for line in lines if line.get("request_id") == request_id]
    return line


def test_a_request_is_logged_with_route_status_time_and_the_id_that_was_answered(
    service: Service, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "api.request_log")

    answer = service.http.get("/v1/jobs/none?secret=1")

    line = logged(caplog, answer.headers["X-Request-ID"])
    assert (line["method"], line["route"], line["status"]) == ("GET", "read_job", 404)
    assert line["path"] == "/v1/jobs/none"
    assert isinstance(line["seconds"], float)


@pytest.mark.parametrize(("given", "kept"), [("trace-1", True), ("two words", False)])
def test_the_id_that_a_client_gives_is_kept_where_it_is_plain(
    service: Service, given: str, kept: bool
):
    answer = service.http.get("/healthz", headers={"X-Request-ID": given})

    assert (answer.headers["X-Request-ID"] == given) is kept
