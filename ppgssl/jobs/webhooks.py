"""Webhooks as the API asks for them: created, listed, deleted, tested, looked into.

Which URLs may be told is the API's to decide; sending is `ppgssl.jobs.deliveries`.
"""

import base64
import secrets
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from ppgssl.jobs.errors import (
    DeliveryNotFoundError,
    WebhookDisabledError,
    WebhookNotFoundError,
)
from ppgssl.jobs.queries.lookups import page_of
from ppgssl.jobs.queries.outbox import new_delivery
from ppgssl.jobs.queries.transactions import Transactions
from ppgssl.jobs.records import Page
from ppgssl.jobs.status import JobStatus
from ppgssl.jobs.webhook_tables import WebhookDelivery, WebhookEndpoint

SECRET_BEGINS = "whsec_"
RANDOM_BYTES = 32  # Standard Webhooks: 24 to 64
TEST = "webhook.test"


class Webhooks(Transactions):
    """The endpoints of one database, and what became of what they were told."""

    def create(
        self, url: str, events: Collection[JobStatus], description: str | None = None
    ) -> WebhookEndpoint:
        """Tell this URL of every job that reaches one of these statuses from now on."""
        secret = base64.b64encode(secrets.token_bytes(RANDOM_BYTES)).decode()
        endpoint = WebhookEndpoint(
            id=f"wh_{secrets.token_hex(10)}",
            url=url,
            events=[status.value for status in JobStatus if status in events],
            description=description,
            secret=SECRET_BEGINS + secret,
            created_at=self._clock(),
        )
        with self._write() as session:
            session.add(endpoint)
        return endpoint

    def endpoints(self, *, after: str | None = None, limit: int = 20) -> Page[WebhookEndpoint]:
        """Endpoints, newest first; `after` is the id of the last one already seen.

        Raises:
            WebhookNotFoundError: `after` is no endpoint's id.
        """
        query = select(WebhookEndpoint).order_by(WebhookEndpoint.seq.desc()).limit(limit + 1)
        with self._read() as session:
            if after is not None:
                query = query.where(WebhookEndpoint.seq < _find(session, after).seq)
            return page_of(session.scalars(query).all(), limit)

    def delete(self, webhook_id: str) -> None:
        """Forget an endpoint and all its deliveries, also those not sent yet.

        Raises:
            WebhookNotFoundError: No such endpoint.
        """
        with self._write() as session:
            session.delete(_find(session, webhook_id, lock=True))

    def deliveries(
        self, webhook_id: str, *, after: str | None = None, limit: int = 20
    ) -> Page[WebhookDelivery]:
        """What an endpoint was told, newest first; `after` is the id of the last one seen.

        Raises:
            WebhookNotFoundError: No such endpoint.
            DeliveryNotFoundError: `after` is none of its deliveries (any more).
        """
        with self._read() as session:
            of_endpoint = select(WebhookDelivery).where(
                WebhookDelivery.endpoint_seq == _find(session, webhook_id).seq
            )
            query = of_endpoint.order_by(WebhookDelivery.seq.desc()).limit(limit + 1)
            if after is not None:
                last = session.scalars(of_endpoint.where(WebhookDelivery.id == after)).one_or_none()
                if last is None:
                    raise DeliveryNotFoundError(f"webhook {webhook_id} has no delivery {after!r}")
                query = query.where(WebhookDelivery.seq < last.seq)
            return page_of(session.scalars(query).all(), limit)

    def queue_test(self, webhook_id: str) -> WebhookDelivery:
        """Tell the endpoint something harmless.

        Raises:
            WebhookNotFoundError: No such endpoint.
            WebhookDisabledError: It answered that it is gone.
        """
        with self._write() as session:
            endpoint = _find(session, webhook_id, lock=True)
            if endpoint.disabled_at is not None:
                raise WebhookDisabledError(
                    f"webhook {webhook_id} answered 410 Gone at {endpoint.disabled_at:%FT%TZ} and "
                    "is told nothing any more; delete it and create another"
                )
            delivery = new_delivery(endpoint, TEST, {"id": webhook_id}, self._clock())
            session.add(delivery)
            return delivery


def _find(session: Session, webhook_id: str, *, lock: bool = False) -> WebhookEndpoint:
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == webhook_id)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise WebhookNotFoundError(f"no webhook has the id {webhook_id!r}; list them to see theirs")
    return found
