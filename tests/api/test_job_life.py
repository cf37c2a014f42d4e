"""The life of jobs against a model of it: whatever is asked, in whatever order, they agree.

Users ask over HTTP; workers, some of them too late, write to the job table. Hypothesis draws who
does what next, and shortens what goes wrong to the steps that matter.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from job_model import ModelJob
from live_service import Service, make_dataset, serving, settings_in

from ppgssl.client import parse_events
from ppgssl.jobs.errors import LeaseLostError
from ppgssl.jobs.records import Claim, JobError, LossPoint, Report
from ppgssl.jobs.status import Reason

LEASE = timedelta(days=1)  # none lapses by itself, however slow the machine
NO_TIME = timedelta(seconds=-1)
ERRORS = [Reason.PROCESS_DIED, "dataset_invalid"]
RULES = {
    "deadline": None,
    "derandomize": True,
    "phases": [Phase.generate],
    "suppress_health_check": [HealthCheck.too_slow],
}


class JobLife(RuleBasedStateMachine):
    """Users and workers on one job table, which holds this machine's jobs only."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service
        self.jobs: dict[str, ModelJob] = {}
        self.keys: dict[str, tuple[str, dict[str, object]]] = {}
        self.claims: list[tuple[Claim, ModelJob]] = []
        self.holder: dict[str, Claim] = {}

    # ----------------------------------------------------------------------------------- users

    @rule(
        priority=st.integers(0, 1),
        max_attempts=st.integers(1, 2),
        key=st.sampled_from([None, "k", "l"]),
    )
    def submit(self, priority: int, max_attempts: int, key: str | None):
        body = {"dataset": "made", "priority": priority, "max_attempts": max_attempts}
        headers = {"Idempotency-Key": key} if key else {}

        answer = self.service.http.post(
            "/v1/jobs", json={**body, "preset": "small"}, headers=headers
        )

        known_id, known_body = self.keys.get(key, (None, body)) if key else (None, body)
        if known_body != body:
            assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
            return
        assert answer.status_code == 201
        job_id = answer.json()["id"]
        assert known_id in {None, job_id}
        if known_id is None:
            assert job_id not in self.jobs
            self.jobs[job_id] = ModelJob(job_id, priority, max_attempts)
            if key:
                self.keys[key] = (job_id, body)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def clone(self, data: st.DataObject):
        job = self._any_job(data)

        answer = self.service.http.post(f"/v1/jobs/{job.id}/clone", json={"name": "again"})

        assert answer.status_code == 201
        clone_id = answer.json()["id"]
        assert clone_id not in self.jobs
        self.jobs[clone_id] = ModelJob(clone_id, job.priority, job.max_attempts)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), request=st.sampled_from(["cancel", "pause", "resume"]))
    def ask(self, data: st.DataObject, request: str):
        job = self._any_job(data)

        answer = self.service.http.post(f"/v1/jobs/{job.id}/{request}")

        if getattr(job, request)():
            assert (answer.status_code, answer.json()["status"]) == (202, job.shown)
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, "job_state_conflict")
            assert answer.json()["job_status"] == job.status

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject):
        job = self._any_job(data)
        if job.is_finished:
            self._check_history(job)
            self._delete(job)
        else:
            assert self.service.http.delete(f"/v1/jobs/{job.id}").status_code == 409

    # --------------------------------------------------------------------------------- workers

    @rule()
    def claim(self):
        queued = [job for job in self.jobs.values() if job.status == "queued"]
        first = max(queued, key=lambda job: job.priority, default=None)  # the oldest, on a tie

        claim = self.service.store.claim("worker", ["pretrain"], LEASE)

        assert (claim.job.id if claim else None) == (first.id if first else None)
        if claim is not None and first is not None:
            first.start()
            assert claim.lease.attempt == first.attempt
            self.claims.append((claim, first))
            self.holder[first.id] = claim

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), duration=st.sampled_from([LEASE, NO_TIME]))
    def renew(self, data: st.DataObject, duration: timedelta):
        claim, job = self._any_claim(data)
        if self._is_refused(job, claim, lambda store: store.renew_lease(claim.lease, duration)):
            return
        job.has_lapsed = duration is NO_TIME

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), steps=st.lists(st.integers(1, 9), min_size=1, max_size=4))
    def record(self, data: st.DataObject, steps: list[int]):
        claim, job = self._any_claim(data)
        report = Report(points=[LossPoint(step, 1, "train", {"total": 1 / step}) for step in steps])
        told = []
        if self._is_refused(
            job, claim, lambda store: told.append(store.record(claim.lease, report))
        ):
            return
        job.steps.update(steps)
        assert told == [job.asked]

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject):
        claim, job = self._any_claim(data)
        if not self._is_refused(job, claim, lambda store: store.succeed(claim.lease)):
            job.succeed()

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject):
        claim, job = self._any_claim(data)
        if not self._is_refused(job, claim, lambda store: store.hand_back(claim.lease, "stop")):
            job.stop()

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), code=st.sampled_from(ERRORS))
    def fail(self, data: st.DataObject, code: str):
        claim, job = self._any_claim(data)
        error = JobError(code, "no")
        if not self._is_refused(job, claim, lambda store: store.fail(claim.lease, error)):
            job.die(can_be_mended=code == Reason.PROCESS_DIED)

    @rule()
    def recover(self):
        lost = {job.id for job in self.jobs.values() if job.is_stalled}

        recovered = self.service.store.recover_expired()

        assert {job.id for job in recovered} == lost
        for job_id in lost:
            self.jobs[job_id].die(can_be_mended=True)

    # ----------------------------------------------------------------------------- what must be

    @invariant()
    def everybody_sees_what_the_model_says(self):
        listed = self.service.http.get("/v1/jobs", params={"limit": 1000}).json()["data"]

        seen = [(job["id"], job["status"], job["attempt"]) for job in reversed(listed)]
        assert seen == [(job.id, job.shown, job.attempt) for job in self.jobs.values()]

    def teardown(self):
        """Bring every job to an end, hold its whole history against the model, delete it."""
        for job in list(self.jobs.values()):
            self.service.store.get(job.id)
            if not job.is_finished:
                job.cancel()
                self.service.store.request_cancel(job.id)
            if not job.is_finished:
                job.stop()
                self.service.store.hand_back(self.holder[job.id].lease, "the test ends")
            self._check_history(job)
            self._delete(job)

    def _check_history(self, job: ModelJob) -> None:
        losses = self.service.http.get(f"/v1/jobs/{job.id}/losses").json()["data"]
        with self.service.http.stream("GET", f"/v1/jobs/{job.id}/events") as answer:
            events = list(parse_events(answer.iter_lines()))
        told = [p["step"] for e in events if e.type == "losses" for p in e.data["points"]]
        assert [point["step"] for point in losses] == sorted(job.steps)
        assert sorted(told) == sorted(job.steps)
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        assert [event.is_terminal for event in events].index(True) == len(events) - 1
        assert events[-1].data["status"] == job.status

    def _delete(self, job: ModelJob) -> None:
        answers = [self.service.http.delete(f"/v1/jobs/{job.id}").status_code for _ in range(2)]
        assert answers == [204, 404]
        del self.jobs[job.id]
        self.keys = {key: value for key, value in self.keys.items() if value[0] != job.id}

    def _any_job(self, data: st.DataObject) -> ModelJob:
        return data.draw(st.sampled_from(list(self.jobs.values())))

    def _any_claim(self, data: st.DataObject) -> tuple[Claim, ModelJob]:
        """One that was ever made: also of a worker that lost its job, or whose job is gone."""
        return data.draw(st.sampled_from(self.claims))

    def _is_refused(self, job: ModelJob, claim: Claim, write) -> bool:
        """Let a worker write; True where its lease is over and the write was refused."""
        holds = job.status == "running" and self.holder[job.id] is claim
        if holds:
            write(self.service.store)
            return False
        with pytest.raises(LeaseLostError):
            write(self.service.store)
        return True


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service on each database, whose housekeeping does not take lost jobs."""
    settings = settings_in(
        tmp_path, database_url=database_url, housekeeping_seconds=3600, rate_limit_per_minute=0
    )
    make_dataset(settings.data_root / "made")
    with serving(settings) as service:
        service.http.timeout = 120  # the first job brings PyTorch
        yield service


def test_jobs_live_as_the_model_says(service: Service):
    run_state_machine_as_test(
        lambda: JobLife(service),
        settings=settings(max_examples=10, stateful_step_count=25, **RULES),
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_jobs_live_as_the_model_says(service: Service):
    run_state_machine_as_test(
        lambda: JobLife(service),
        settings=settings(max_examples=200, stateful_step_count=60, **RULES),
    )
