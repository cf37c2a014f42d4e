"""How many requests a key or an address may send, and what it is told beyond that."""

from pathlib import Path

import pytest
from live_service import Service, serving, settings_in

from api.rate_limit import MOST_BUCKETS, RateLimiter
from ppgssl.jobs.database import open_database
from ppgssl.jobs.keys import ApiKeys
from ppgssl.jobs.roles import Role


class Seconds:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_full_bucket_passes_the_limit_at_once_and_fills_at_the_same_rate():
    clock = Seconds()
    limiter = RateLimiter(6, clock=clock)  # one every 10 s

    burst = [limiter.take("me") for _ in range(7)]
    clock.now += 4
    too_early = limiter.take("me")
    clock.now += 6
    after_ten_seconds, again = limiter.take("me"), limiter.take("me")

    assert burst == [0, 0, 0, 0, 0, 0, pytest.approx(10)]
    assert too_early == pytest.approx(6)
    assert (after_ten_seconds, again) == (0, pytest.approx(10))


def test_a_long_silence_saves_no_more_than_a_minutes_requests():
    clock = Seconds()
    limiter = RateLimiter(2, clock=clock)
    limiter.take("me")

    clock.now += 3600

    assert [limiter.take("me") > 0 for _ in range(3)] == [False, False, True]


def test_nobody_pays_for_others():
    limiter = RateLimiter(1, clock=Seconds())

    limiter.take("me")

    assert limiter.take("you") == 0
    assert limiter.take("me") > 0


def test_a_limit_of_0_is_none():
    limiter = RateLimiter(0, clock=Seconds())

    assert {limiter.take("me") for _ in range(100)} == {0.0}


def test_a_flood_of_addresses_forgets_the_silent_and_remembers_the_busy():
    limiter = RateLimiter(1, clock=Seconds())
    limiter.take("silent")
    limiter.take("busy")

    for number in range(MOST_BUCKETS - 1):
        limiter.take(f"address {number}")
        limiter.take("busy")

    assert limiter.take("busy") > 0
    assert limiter.take("silent") == 0


def test_beyond_the_limit_requests_are_refused_with_the_limit_and_the_time_to_wait(tmp_path: Path):
    with serving(settings_in(tmp_path, rate_limit_per_minute=3)) as service:
        statuses = [service.http.get(path).status_code for path in ("/v1/jobs", "/", "/docs")]
        answer = service.http.get("/v1/jobs")
        health = {service.http.get(path).status_code for path in ("/healthz", "/metrics")}

    assert statuses == [200, 200, 200]
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["limit_per_minute"]) == ("rate_limited", 3)
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    assert "address 127.0.0.1 may send 3 requests a minute" in answer.json()["detail"]
    assert health == {200}


def get_jobs(service: Service, key: str, times: int) -> list[int]:
    headers = {"Authorization": f"Bearer {key}"}
    return [service.http.get("/v1/jobs", headers=headers).status_code for _ in range(times)]


def test_each_key_has_a_limit_of_its_own_and_guesses_share_their_address(tmp_path: Path):
    with serving(settings_in(tmp_path, rate_limit_per_minute=2)) as service:
        engine = open_database(service.settings.database)
        keys = ApiKeys(engine)
        first, second = keys.create("first", Role.READ), keys.create("second", Role.READ)
        statuses = [get_jobs(service, created.key, 3) for created in (first, second)]
        guessed = [*get_jobs(service, "guess", 1), *get_jobs(service, "another guess", 2)]
        engine.dispose()

    assert statuses == [[200, 200, 429]] * 2
    assert guessed == [401, 401, 429]
