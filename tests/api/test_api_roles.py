"""What each role opens, how soon a key works and stops working, and when none is needed at all."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from live_service import Service, serving, settings_in
from request_lines import request_line
from sqlalchemy import Engine, event, text

from api.access import is_own_name, needed_role
from api.key_ring import ENVIRONMENT, Bearer, KeyRing, KeysUnknownError
from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.keys import ApiKeys
from ppgssl.jobs.roles import Role


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# ------------------------------------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/v1/jobs", Role.READ),
        ("HEAD", "/v1/jobs/job_1/checkpoints/best/encoder.json", Role.READ),
        ("OPTIONS", "/v1/models/prod", Role.READ),
        ("POST", "/v1/embeddings", Role.READ),
        ("POST", "/v1/jobs", Role.SUBMIT),
        ("POST", "/v1/jobs/", Role.SUBMIT),
        ("POST", "/v1/jobs/job_1/cancel", Role.SUBMIT),
        ("POST", "/v1/jobs/job_1/pause", Role.SUBMIT),
        ("POST", "/v1/jobs/job_1/resume", Role.SUBMIT),
        ("PUT", "/v1/models/prod", Role.ADMIN),
        ("DELETE", "/v1/jobs/job_1", Role.ADMIN),
        ("DELETE", "/v1/embeddings", Role.ADMIN),
        ("PATCH", "/v1/jobs/job_1", Role.ADMIN),
        ("POST", "/v1/jobsters", Role.ADMIN),
        ("POST", "/v1/embeddings/later", Role.ADMIN),
        ("TRACE", "/v1/jobs", Role.ADMIN),
    ],
)
def test_a_request_needs_the_least_role_that_is_meant_for_it(method: str, path: str, role: Role):
    assert needed_role(method, path) is role


@pytest.fixture
def keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Service, ApiKeys]]:
    """A service that looks into its table of keys at every request."""
    monkeypatch.setattr("api.key_ring.REFRESH_SECONDS", 0.0)
    with serving(settings_in(tmp_path)) as service:
        engine = open_database(service.settings.database)
        yield service, ApiKeys(engine)
        engine.dispose()


def bearing(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_role_does_what_it_may_and_is_told_what_the_rest_needs(
    keyed: tuple[Service, ApiKeys],
):
    service, keys = keyed
    job = service.queue()
    requests = {
        "look": ("GET", f"/v1/jobs/{job.id}", None),
        "pause": ("POST", f"/v1/jobs/{job.id}/pause", None),
        "alias": ("PUT", "/v1/models/prod", {"job_id": job.id}),
    }

    statuses = {
        role: {
            name: service.http.request(
                method, path, json=body, headers=bearing(keys.create("a key", role).key)
            ).status_code
            for name, (method, path, body) in requests.items()
        }
        for role in Role
    }
    refused = service.http.post(
        f"/v1/jobs/{job.id}/cancel", headers=bearing(keys.create("a key", Role.READ).key)
    )

    assert statuses == {
        Role.READ: {"look": 200, "pause": 403, "alias": 403},
        Role.SUBMIT: {"look": 200, "pause": 202, "alias": 403},
        Role.ADMIN: {"look": 200, "pause": 202, "alias": 404},  # the job has no checkpoint
    }
    assert problem_of(refused) == (403, "role_too_weak")
    assert (refused.json()["role"], refused.json()["needed_role"]) == ("read", "submit")
    assert service.store.get(job.id).status == "paused"


def test_the_first_key_closes_the_service_and_revoking_it_does_not_open_it_again(
    keyed: tuple[Service, ApiKeys],
):
    service, keys = keyed

    open_to_all = service.http.get("/v1/jobs")
    created = keys.create("first", Role.READ)
    without, bearer = service.http.get("/v1/jobs"), bearing(created.key)
    with_it = service.http.get("/v1/jobs", headers=bearer)
    keys.revoke(created.row.id)
    revoked = service.http.get("/v1/jobs", headers=bearer)

    assert (open_to_all.status_code, with_it.status_code) == (200, 200)
    assert problem_of(without) == problem_of(revoked) == (401, "unauthorized")


def test_the_key_of_the_environment_is_an_administrators(tmp_path: Path):
    with serving(settings_in(tmp_path, api_key="tell-nobody")) as service:
        job = service.queue()
        answer = service.http.put(
            "/v1/models/prod", json={"job_id": job.id}, headers=bearing("tell-nobody")
        )

    assert problem_of(answer) == (404, "checkpoint_not_found")


def test_a_service_that_others_reach_is_closed_without_any_key(tmp_path: Path):
    with serving(settings_in(tmp_path, published_address="0.0.0.0")) as service:
        answer = service.http.get("/v1/jobs")

    assert problem_of(answer) == (401, "unauthorized")


def test_the_use_of_a_key_is_noted_and_logged_by_its_id(
    keyed: tuple[Service, ApiKeys], caplog: pytest.LogCaptureFixture
):
    service, keys = keyed
    created = keys.create("mine", Role.READ)

    with caplog.at_level(logging.INFO, "api.request_log"):
        answer = service.http.get("/v1/jobs", headers=bearing(created.key))
        line = request_line(caplog, answer.headers["X-Request-ID"])

    assert keys.all()[0].last_used_at is not None
    assert line["key_id"] == created.row.id
    assert created.key not in caplog.text


# --------------------------------------------------------------------------------------- key ring


class Seconds:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path}/keys.sqlite")
    migrate(engine)
    yield engine
    engine.dispose()


def test_keys_are_looked_up_once_in_two_seconds_however_many_requests_come(engine: Engine):
    keys, clock = ApiKeys(engine), Seconds()
    ring = KeyRing(keys, None, clock=clock)
    created = keys.create("mine", Role.READ)
    queries: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: queries.append(call[2]))

    async def ask() -> list[Bearer | None]:
        guesses = await asyncio.gather(*(ring.find(f"guess {n}") for n in range(50)))
        known = [await ring.find(created.key)]
        keys.revoke(created.row.id)
        clock.now += 1.9
        known.append(await ring.find(created.key))
        clock.now += 0.2
        known.append(await ring.find(created.key))
        return [*known, *filter(None, guesses)]

    found = asyncio.run(ask())

    mine = Bearer(created.row.id, Role.READ)
    assert found == [mine, mine, None]
    looked_up = [query for query in queries if "ORDER BY api_keys.created_at" in query]
    assert len(looked_up) == 2


def test_known_keys_are_told_without_waiting_for_each_other(engine: Engine):
    keys = ApiKeys(engine)
    ring = KeyRing(keys, None, clock=Seconds())
    created = keys.create("mine", Role.READ)

    async def turns_of_the_loop() -> int:
        await ring.find(created.key)
        asked = [asyncio.create_task(ring.find(created.key)) for _ in range(50)]
        turns = 0
        while not all(task.done() for task in asked):
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(turns_of_the_loop()) <= 2


def test_while_the_database_is_away_only_the_key_of_the_environment_opens(engine: Engine):
    keys, clock = ApiKeys(engine), Seconds()
    ring = KeyRing(keys, "tell-nobody", clock=clock)
    created = keys.create("mine", Role.READ)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE api_keys RENAME TO gone"))

    async def ask() -> Bearer | None:
        with pytest.raises(KeysUnknownError):
            await ring.find(created.key)
        return await ring.find("tell-nobody")

    assert asyncio.run(ask()) == Bearer(ENVIRONMENT, Role.ADMIN)


def test_a_service_without_its_keys_says_that_the_database_is_away(
    keyed: tuple[Service, ApiKeys],
):
    service, keys = keyed
    key = keys.create("mine", Role.READ).key
    with closing(sqlite3.connect(service.settings.artifact_root / "ppgssl.sqlite")) as database:
        database.execute("ALTER TABLE api_keys RENAME TO gone")

    answer = service.http.get("/v1/jobs", headers=bearing(key))

    assert problem_of(answer) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert service.http.get("/").status_code == 200


def test_every_key_is_compared_in_constant_time(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    keys, compared = ApiKeys(engine), []
    first = keys.create("first", Role.READ)
    keys.create("second", Role.READ)

    def compare_digest(known: str, given: str) -> bool:
        compared.append(known)
        return known == given

    monkeypatch.setattr("api.key_ring.hmac.compare_digest", compare_digest)
    found = asyncio.run(KeyRing(keys, "other").find(first.key))

    assert found == Bearer(first.row.id, Role.READ)
    assert len(compared) == 3


# ----------------------------------------------------------------------------------- rebound names


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("localhost:8000", True),
        ("ppgssl.localhost", True),
        ("api:8000", True),
        ("", True),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("[::1", False),
    ],
)
def test_a_name_that_a_website_could_have_is_told_from_this_machines(host: str, is_own: bool):
    assert is_own_name(host) is is_own


def test_an_open_service_does_not_answer_to_a_websites_name(service: Service, tmp_path: Path):
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}

    rebound = service.http.post("/v1/jobs", json={}, headers=headers)
    with serving(settings_in(tmp_path, api_key="tell-nobody")) as guarded:
        proxied = guarded.http.get(
            "/v1/jobs", headers={"Host": "ppgssl.example", **bearing("tell-nobody")}
        )

    assert problem_of(rebound) == (403, "host_not_allowed")
    assert proxied.status_code == 200
