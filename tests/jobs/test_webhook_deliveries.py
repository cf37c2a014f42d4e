"""What endpoints are told: in the transaction in which it happens, tried again, and once."""

import json
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from job_clock import Clock
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ppgssl.jobs.deliveries import KEPT, MAX_TRIES, RETRY_AFTER_S, Deliveries, Outcome, Try
from ppgssl.jobs.errors import WebhookDisabledError, WebhookNotFoundError
from ppgssl.jobs.queries.telling import tell_status
from ppgssl.jobs.records import JobError, NewJob
from ppgssl.jobs.status import JobStatus
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job
from ppgssl.jobs.webhook_tables import WebhookDelivery
from ppgssl.jobs.webhooks import Webhooks

URL = "https://hooks.example.org/jobs"
LEASE = timedelta(seconds=60)
REFUSED = Outcome(status_code=500)
TAKEN = Outcome(status_code=204)


@pytest.fixture
def webhooks(engine: Engine, clock: Clock) -> Webhooks:
    return Webhooks(engine, clock=clock)


@pytest.fixture
def deliveries(engine: Engine, clock: Clock) -> Deliveries:
    return Deliveries(engine, clock=clock, draw=lambda: 0.5)


def told(tries: Sequence[Try]) -> list[str]:
    return [json.loads(one.body)["type"] for one in tries]


def queue(store: JobStore) -> Job:
    return store.create(NewJob("pretrain", {}, name="night", metadata={"ward": "3"}))


def test_an_endpoint_is_told_of_the_whole_life_of_a_job(
    webhooks: Webhooks, deliveries: Deliveries, store: JobStore
):
    webhooks.create(URL, list(JobStatus))
    job = queue(store)

    claim = store.claim("worker-1", ["pretrain"], LEASE)
    assert claim is not None
    store.fail(claim.lease, JobError("dataset_invalid", "no windows"))

    tries = deliveries.claim_due(10, LEASE)
    assert told(tries) == ["job.queued", "job.running", "job.failed"]
    assert json.loads(tries[-1].body) == {
        "type": "job.failed",
        "timestamp": "2030-01-01T00:00:00Z",
        "data": {
            "id": job.id,
            "kind": "pretrain",
            "name": "night",
            "status": "failed",
            "attempt": 1,
            "error": {"code": "dataset_invalid", "message": "no windows"},
            "metadata": {"ward": "3"},
            "last_event": 3,
        },
    }


def test_an_endpoint_is_told_of_what_it_asked_for(
    webhooks: Webhooks, deliveries: Deliveries, store: JobStore
):
    webhooks.create(URL, [JobStatus.CANCELLED])

    store.request_cancel(queue(store).id)

    assert told(deliveries.claim_due(10, LEASE)) == ["job.cancelled"]


def test_a_change_that_is_rolled_back_tells_nothing(
    webhooks: Webhooks, deliveries: Deliveries, engine: Engine, store: JobStore, clock: Clock
):
    job = queue(store)
    webhooks.create(URL, list(JobStatus))

    with Session(engine) as session:
        tell_status(session, session.merge(job), clock())
        session.flush()
        session.rollback()

    assert deliveries.claim_due(10, LEASE) == ()


def test_a_failed_try_is_repeated_later_and_later_under_the_same_id(
    webhooks: Webhooks, deliveries: Deliveries, clock: Clock
):
    delivery = webhooks.queue_test(webhooks.create(URL, list(JobStatus)).id)
    ids = set[str]()

    for wait_s in RETRY_AFTER_S:
        (tried,) = deliveries.claim_due(10, LEASE)
        ids.add(tried.id)
        deliveries.settle(tried, REFUSED)
        clock.advance(wait_s * 1.05 - 0.5)
        assert deliveries.claim_due(10, LEASE) == ()
        clock.advance(1)

    assert ids == {delivery.id}


def test_a_delivery_fails_after_its_last_try(
    webhooks: Webhooks, deliveries: Deliveries, clock: Clock
):
    endpoint = webhooks.create(URL, list(JobStatus))
    webhooks.queue_test(endpoint.id)

    for _ in range(MAX_TRIES):
        (tried,) = deliveries.claim_due(10, LEASE)
        deliveries.settle(tried, Outcome(error="connection refused"))
        clock.advance(100_000)

    (row,) = webhooks.deliveries(endpoint.id).items
    assert (row.status, row.attempts, row.last_error) == ("failed", 10, "connection refused")
    assert row.next_attempt_at is None
    assert deliveries.claim_due(10, LEASE) == ()


def test_a_delivered_one_is_not_sent_again(
    webhooks: Webhooks, deliveries: Deliveries, clock: Clock
):
    endpoint = webhooks.create(URL, list(JobStatus))
    webhooks.queue_test(endpoint.id)

    (tried,) = deliveries.claim_due(10, LEASE)
    deliveries.settle(tried, TAKEN)
    clock.advance(100_000)

    (row,) = webhooks.deliveries(endpoint.id).items
    assert (row.status, row.attempts, row.last_status_code) == ("delivered", 1, 204)
    assert deliveries.claim_due(10, LEASE) == ()


def test_a_sender_that_died_is_followed_and_not_listened_to(
    webhooks: Webhooks, deliveries: Deliveries, clock: Clock
):
    endpoint = webhooks.create(URL, list(JobStatus))
    webhooks.queue_test(endpoint.id)
    (first,) = deliveries.claim_due(10, LEASE)
    assert deliveries.claim_due(10, LEASE) == ()

    clock.advance(LEASE.total_seconds())
    (second,) = deliveries.claim_due(10, LEASE)
    deliveries.settle(second, TAKEN)
    deliveries.settle(first, REFUSED)

    (row,) = webhooks.deliveries(endpoint.id).items
    assert (first.id, first.number, second.number) == (second.id, 1, 2)
    assert (row.status, row.last_status_code) == ("delivered", 204)


def test_an_endpoint_that_is_gone_is_told_nothing_any_more(
    webhooks: Webhooks, deliveries: Deliveries, store: JobStore, clock: Clock
):
    gone, other = (webhooks.create(URL, [JobStatus.QUEUED]) for _ in range(2))
    webhooks.queue_test(gone.id)
    webhooks.queue_test(gone.id)
    (tried,) = deliveries.claim_due(1, LEASE)

    deliveries.settle(tried, Outcome(status_code=410))
    queue(store)

    assert told(deliveries.claim_due(10, LEASE)) == ["job.queued"]
    assert [row.disabled_at for row in webhooks.endpoints().items] == [None, clock()]
    assert [row.status for row in webhooks.deliveries(gone.id).items] == ["failed", "failed"]
    assert [row.status for row in webhooks.deliveries(other.id).items] == ["pending"]
    with pytest.raises(WebhookDisabledError, match="answered 410 Gone at 2030-01-01T00:00:00Z"):
        webhooks.queue_test(gone.id)


def test_several_senders_get_each_delivery_once(webhooks: Webhooks, deliveries: Deliveries):
    endpoint = webhooks.create(URL, list(JobStatus))
    expected = {webhooks.queue_test(endpoint.id).id for _ in range(40)}
    got: list[str] = []

    def send() -> None:
        while tries := deliveries.claim_due(3, LEASE):
            got.extend(one.id for one in tries)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert len(got) == 40
    assert set(got) == expected


def test_what_ended_is_forgotten_after_some_days(
    webhooks: Webhooks, deliveries: Deliveries, engine: Engine, clock: Clock
):
    endpoint = webhooks.create(URL, list(JobStatus))
    webhooks.queue_test(endpoint.id)
    (tried,) = deliveries.claim_due(1, LEASE)
    deliveries.settle(tried, TAKEN)
    pending = webhooks.queue_test(endpoint.id)

    clock.advance(KEPT.total_seconds())
    assert deliveries.forget_ended() == 0
    clock.advance(1)
    assert deliveries.forget_ended() == 1

    with Session(engine) as session:
        assert session.scalars(select(WebhookDelivery.id)).all() == [pending.id]


def test_a_deleted_endpoint_takes_its_deliveries_along(
    webhooks: Webhooks, deliveries: Deliveries, store: JobStore
):
    endpoint = webhooks.create(URL, list(JobStatus))
    queue(store)

    webhooks.delete(endpoint.id)
    queue(store)

    assert deliveries.claim_due(10, LEASE) == ()
    with pytest.raises(WebhookNotFoundError, match="no webhook has the id"):
        webhooks.delete(endpoint.id)


def test_a_webhook_that_is_deleted_meanwhile_does_not_break_the_jobs_change(
    webhooks: Webhooks, deliveries: Deliveries, engine: Engine, store: JobStore, clock: Clock
):
    job = queue(store)
    endpoint = webhooks.create(URL, list(JobStatus))
    deleting = threading.Thread(target=webhooks.delete, args=(endpoint.id,))

    with Session(engine) as session, session.begin():
        tell_status(session, session.merge(job), clock())
        deleting.start()
        deleting.join(0.3)  # it waits for us, or it is done and we shall meet a broken reference
    deleting.join()

    assert len(store.events(job.id).items) == 2
    assert webhooks.endpoints().items == []
    assert deliveries.claim_due(10, LEASE) == ()


def test_each_secret_is_one_of_its_own_as_the_standard_wants_it(webhooks: Webhooks):
    secrets = [webhooks.create(URL, list(JobStatus)).secret for _ in range(2)]

    assert len(set(secrets)) == 2
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)


def test_a_secret_that_cannot_be_written_is_not_shown_by_the_error(
    webhooks: Webhooks, engine: Engine
):
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE webhook_endpoints RENAME TO elsewhere")

    with pytest.raises(DBAPIError, match="INSERT INTO webhook_endpoints") as refused:
        webhooks.create(URL, list(JobStatus))

    assert "whsec_" not in str(refused.value)


@pytest.mark.parametrize(("asked_s", "waits_s"), [(1.0, 5.0), (600.0, 600.0), (1e9, 24 * 3600.0)])
def test_a_receiver_is_left_alone_for_as_long_as_it_asks_up_to_a_day(
    webhooks: Webhooks, engine: Engine, clock: Clock, asked_s: float, waits_s: float
):
    deliveries = Deliveries(engine, clock=clock, draw=lambda: 0.0)
    endpoint = webhooks.create(URL, list(JobStatus))
    webhooks.queue_test(endpoint.id)
    (tried,) = deliveries.claim_due(1, LEASE)

    deliveries.settle(tried, Outcome(status_code=503, retry_after_s=asked_s))

    (row,) = webhooks.deliveries(endpoint.id).items
    assert row.next_attempt_at == clock() + timedelta(seconds=waits_s)
