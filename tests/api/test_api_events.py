"""Events and logs of jobs that run, wait and have finished."""

import asyncio
import threading
import time
from typing import Any

import httpx
import pytest
from live_service import Service
from sqlalchemy import Engine

from api.event_feed import POLL_SECONDS, EventFeed, EventPage
from ppgssl.client import Client, Event, parse_events
from ppgssl.jobs.records import NewJob, Page
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Event as JobEvent


def events_of(service: Service, job_id: str, **headers: str) -> list[Event]:
    with service.http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(parse_events(answer.iter_lines()))


def test_a_finished_job_is_replayed_to_its_terminal_event(service: Service):
    claim = service.run()
    service.record(claim, [1, 2])
    service.store.succeed(claim.lease)

    events = events_of(service, claim.job.id)

    assert [event.id for event in events] == [1, 2, 3, 4]
    assert [event.type for event in events] == ["status", "status", "losses", "status"]
    assert [point["step"] for point in events[2].data["points"]] == [1, 2]
    assert events[-1].data["status"] == "succeeded"
    assert [event.is_terminal for event in events] == [False, False, False, True]


def test_events_go_on_after_the_last_one_seen(service: Service):
    claim = service.run()
    service.store.succeed(claim.lease)

    assert [e.id for e in events_of(service, claim.job.id, **{"Last-Event-ID": "2"})] == [3]
    assert events_of(service, claim.job.id, **{"Last-Event-ID": "3"}) == []


def test_a_watcher_sees_what_happens_while_it_watches(service: Service):
    claim = service.run()
    client, seen = Client(service.url), list[Event]()
    watcher = threading.Thread(target=lambda: seen.extend(client.watch(claim.job.id)))
    watcher.start()

    service.record(claim, [1])
    time.sleep(0.7)
    service.record(claim, [2])
    service.store.succeed(claim.lease)
    watcher.join(5)
    client.close()

    steps = [p["step"] for event in seen if event.type == "losses" for p in event.data["points"]]
    assert steps == [1, 2]
    assert seen[-1].is_terminal


def test_more_watchers_than_threads_or_connections_wait_side_by_side(service: Service):
    claim = service.run()
    with httpx.Client(base_url=service.url, limits=httpx.Limits(max_connections=None)) as http:
        url = f"/v1/jobs/{claim.job.id}/events"
        streams = [http.stream("GET", url, timeout=20) for _ in range(60)]
        answers = [stream.__enter__() for stream in streams]

        assert http.get(f"/v1/jobs/{claim.job.id}", timeout=5).status_code == 200
        service.store.succeed(claim.lease)
        ends = [list(parse_events(answer.iter_lines()))[-1] for answer in answers]
        for stream in streams:
            stream.__exit__(None, None, None)

    assert all(event.is_terminal for event in ends)


@pytest.mark.parametrize("number", ["-1", "x", "1.5", str(2**31)])
def test_a_bad_event_number_is_refused(service: Service, number: str):
    job = service.queue()

    answer = service.http.get(f"/v1/jobs/{job.id}/events", headers={"Last-Event-ID": number})

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


@pytest.mark.parametrize("route", ["events", "logs", "logs?follow=true"])
def test_a_job_that_does_not_exist_has_neither_events_nor_logs(service: Service, route: str):
    answer = service.http.get(f"/v1/jobs/job_00/{route}")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def lines_of(answer: httpx.Response) -> list[Any]:
    return [line["text"] for line in answer.json()["data"]]


def test_the_log_is_read_page_by_page(service: Service):
    claim = service.run()
    service.record(claim, [], log_lines=["one", "two", "three"])
    url = f"/v1/jobs/{claim.job.id}/logs"

    first = service.http.get(url, params={"limit": 2})
    second = service.http.get(url, params={"after": first.json()["next"]})
    tail = service.http.get(url, params={"tail": 1})

    assert lines_of(first) == ["one", "two"]
    assert first.json()["has_more"] is True
    assert (lines_of(second), second.json()["has_more"]) == (["three"], False)
    assert lines_of(tail) == ["three"]


def test_a_followed_log_ends_with_its_job(service: Service):
    claim = service.run()
    service.record(claim, [], log_lines=["one"])
    threading.Timer(0.3, service.record, [claim, []], {"log_lines": ["two"]}).start()
    threading.Timer(0.6, service.store.succeed, [claim.lease]).start()

    answer = service.http.get(f"/v1/jobs/{claim.job.id}/logs", params={"follow": True})

    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert ['"text":"one"' in line for line in answer.text.splitlines()] == [True, False]
    assert '"text":"two"' in answer.text.splitlines()[1]


class CountingStore(JobStore):
    """A job table that knows how often it was asked for events."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.asked = 0

    def events(self, job_id: str, *, after: int = 0, limit: int = 500) -> Page[JobEvent]:
        self.asked += 1
        return super().events(job_id, after=after, limit=limit)


@pytest.fixture
def counting(engine: Engine) -> CountingStore:
    return CountingStore(engine)


def test_watchers_who_have_seen_the_same_share_one_read(counting: CountingStore):
    job_id = counting.create(NewJob("fake", {})).id

    async def watch() -> list[EventPage]:
        feed = EventFeed(counting)
        return await asyncio.gather(*(feed.page(job_id, 0) for _ in range(50)))

    pages = asyncio.run(watch())

    assert counting.asked == 1
    assert [(page.last, page.is_end) for page in pages] == [(1, False)] * 50


def test_one_who_comes_late_is_given_what_the_others_got(counting: CountingStore):
    job_id = counting.create(NewJob("fake", {})).id
    counting.request_cancel(job_id)

    async def watch() -> list[EventPage]:
        feed = EventFeed(counting)
        return [await feed.page(job_id, after) for after in (0, 0, 2, 1)]

    pages = asyncio.run(watch())

    assert counting.asked == 3  # after 0, 2 and 1
    assert [(page.last, page.is_end) for page in pages] == [(2, True)] * 4


def test_a_watcher_who_leaves_takes_nothing_from_the_others(counting: CountingStore):
    job_id = counting.create(NewJob("fake", {})).id

    async def watch() -> EventPage:
        feed = EventFeed(counting)
        leaving, staying = (asyncio.create_task(feed.page(job_id, 1)) for _ in range(2))
        await asyncio.sleep(0.1)
        leaving.cancel()
        await asyncio.to_thread(counting.request_cancel, job_id)
        return await staying

    assert asyncio.run(watch()).is_end


def test_nobody_asks_for_events_that_nobody_waits_for(counting: CountingStore):
    job_id = counting.create(NewJob("fake", {})).id

    async def watch() -> None:
        feed = EventFeed(counting)
        watcher = asyncio.create_task(feed.page(job_id, 1))
        await asyncio.sleep(0.1)
        watcher.cancel()
        await asyncio.sleep(2 * POLL_SECONDS)

    asyncio.run(watch())

    assert counting.asked == 1
