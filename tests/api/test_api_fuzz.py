"""Whatever the description of the API allows, or nearly allows, is answered: never with a 5xx.

Schemathesis makes requests from `/openapi.json`, right ones and wrong ones. Half of them name
things that exist, jobs of every status among them, so that they get past "not found".
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from live_service import REPORT, Service, make_dataset, serving, settings_in
from schemathesis.checks import not_a_server_error

from api.app import create_app
from ppgssl.jobs.kinds import EMBEDDINGS_FILE
from ppgssl.jobs.records import JobError
from ppgssl.jobs.settings import Settings

# The service runs in a thread beside the test, and its webhooks draw when they try again.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

RULES = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
}

schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi())

FOLLOWED = ("/events", "/logs")
"""Ends of paths whose answers end with their job: asked of finished ones only."""
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """A service with something to find. Jobs that a request may change are made for it."""

    service: Service
    finished: list[str]
    unfinished: list[str]

    def names(self, parameter: str, case: schemathesis.Case) -> Mapping[str, Callable[[], str]]:
        """What a path parameter may say to name something that is there."""
        if parameter == "job_id" and case.method != "GET":
            return {"a new job": self._queued, "a paused job": self._paused, "an end": self._ended}
        jobs = [*self.finished, *([] if case.path.endswith(FOLLOWED) else self.unfinished)]
        known = {
            "job_id": jobs,
            "checkpoint": ["best"],
            "file": ["encoder.json", EMBEDDINGS_FILE, *REPORT],
            "model": ["production", "default"],
        }
        if parameter == "webhook_id":
            return {"a webhook": self._webhook}
        return {name: lambda name=name: name for name in known.get(parameter, [])}

    def _queued(self) -> str:
        return self.service.queue().id

    def _paused(self) -> str:
        return self.service.store.request_pause(self._queued()).id

    def _ended(self) -> str:
        return self.service.store.request_cancel(self._queued()).id

    def _webhook(self) -> str:
        answer = self.service.http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"})
        return answer.json()["id"]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def fuzzed(request: pytest.FixtureRequest, best_folder: Path) -> Iterator[Fuzzed]:
    """A service with jobs of every status, an encoder, a report and an alias, on each database."""
    url = ""  # a file in the artifact root
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_server").create("fuzzed")
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(
            Path(folder),
            database_url=url,
            rate_limit_per_minute=0,
            webhook_hosts="http://127.0.0.1:9",
        )
        make_dataset(settings.data_root / "made", labels={"hr_bpm": 60.0})
        with serving(settings) as service:
            service.http.get("/readyz", timeout=PATIENCE_S)  # brings PyTorch
            yield filled(service, best_folder)


def filled(service: Service, best_folder: Path) -> Fuzzed:
    failed = service.run()
    service.record(failed, [1, 2, 3], log_lines=["a line"])
    service.store.fail(failed.lease, JobError("dataset_invalid", "no"))
    trained, reported = service.trained(best_folder), service.evaluated()
    embedded = service.embedded()
    service.store.set_alias("production", trained.id)
    running = service.run()
    service.record(running, [1, 2, 3], log_lines=["a line"])
    fuzzed = Fuzzed(
        service, [trained.id, reported.id, embedded.id, failed.job.id], [running.job.id]
    )
    fuzzed.unfinished.append(service.queue().id)
    return fuzzed


def ask(case: schemathesis.Case, fuzzed: Fuzzed, data: st.DataObject) -> None:
    """Send a request, some of its names replaced by those of what is there."""
    for parameter in list(case.path_parameters):
        names = fuzzed.names(parameter, case)
        if names and data.draw(st.booleans()):
            case.path_parameters[parameter] = names[data.draw(st.sampled_from(list(names)))]()
    case.call_and_validate(
        base_url=fuzzed.service.url, checks=[not_a_server_error], timeout=PATIENCE_S
    )


@schema.given(data=st.data())
@schema.parametrize()
@settings(max_examples=8, **RULES)
def test_no_request_is_answered_with_a_server_error(case, data, fuzzed):
    ask(case, fuzzed, data)


@pytest.mark.slow
@schema.given(data=st.data())
@schema.parametrize()
@settings(max_examples=200, **RULES)
def test_no_request_of_many_is_answered_with_a_server_error(case, data, fuzzed):
    ask(case, fuzzed, data)
