"""What the API writes down of each request."""

import logging

import pytest
from live_service import Service
from request_lines import request_line


def test_a_request_is_logged_with_route_status_time_and_the_id_that_was_answered(
    service: Service, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "api.request_log")

    answer = service.http.get("/v1/jobs/none?secret=1")

    line = request_line(caplog, answer.headers["X-Request-ID"])
    assert (line["method"], line["route"], line["status"]) == ("GET", "read_job", 404)
    assert line["path"] == "/v1/jobs/none"
    assert isinstance(line["seconds"], float)


@pytest.mark.parametrize(("given", "kept"), [("trace-1", True), ("two words", False)])
def test_the_id_that_a_client_gives_is_kept_where_it_is_plain(
    service: Service, given: str, kept: bool
):
    answer = service.http.get("/healthz", headers={"X-Request-ID": given})

    assert (answer.headers["X-Request-ID"] == given) is kept
