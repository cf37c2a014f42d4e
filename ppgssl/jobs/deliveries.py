"""Deliveries as a sender asks for them: claimed, settled, forgotten after some days.

Any number of senders may work on one table. Each try is claimed by one of them; one that dies
with its claim is followed by another once the claim has run out, under the same id. So each is
sent at least once, and more than once only where a sender died. Nothing here sends.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy import Engine, and_, delete, exists, select, update
from sqlalchemy.orm import Session

from ppgssl.jobs.queries.transactions import Transactions, utc_now
from ppgssl.jobs.webhook_tables import DeliveryStatus, WebhookDelivery, WebhookEndpoint

RETRY_AFTER_S = (
    *(5, 5 * 60, 30 * 60),
    *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)),
)
"""Wait after each failed try; the example schedule of Standard Webhooks, three days in all."""
MAX_TRIES = len(RETRY_AFTER_S) + 1
LONGEST_WAIT_S = RETRY_AFTER_S[-1]  # whatever a receiver asks for
JITTER = 0.1  # of the wait: receivers that failed together are not asked again together
KEPT = timedelta(days=7)
ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Try:
    """A claimed delivery: what is sent where, signed with what."""

    id: str
    number: int
    url: str
    secret: str = field(repr=False)
    body: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try went: the status that was answered, or why none was."""

    status_code: int | None = None
    error: str | None = None
    retry_after_s: float = 0.0
    """As long as the receiver asks to be left alone, seconds."""

    @property
    def is_delivered(self) -> bool:
        """The receiver took it."""
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def is_gone(self) -> bool:
        """The receiver wants nothing any more."""
        return self.status_code == HTTPStatus.GONE


class Deliveries(Transactions):
    """What endpoints of one database are still to be told. Thread-safe.

    Args:
        engine: From `open_database`, migrated.
        clock: Now, in UTC.
        draw: Numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime] = utc_now,
        draw: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(engine, clock=clock)
        self._draw = draw

    def claim_due(self, limit: int, lease: timedelta) -> Sequence[Try]:
        """Begin a try of up to `limit` deliveries that are due, the longest due first.

        Nobody else gets them until they are settled or `lease` is over.
        """
        now = self._clock()
        is_due = and_(
            WebhookDelivery.status == DeliveryStatus.PENDING, WebhookDelivery.next_attempt_at <= now
        )
        with self._read() as session:  # on SQLite a look that finds nothing stops no writer
            if not session.scalar(select(exists().where(is_due))):
                return ()
        due = (
            select(WebhookDelivery, WebhookEndpoint)
            .join(WebhookEndpoint, WebhookEndpoint.seq == WebhookDelivery.endpoint_seq)
            .where(is_due)
            .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.seq)
            .limit(limit)
            .with_for_update(of=WebhookDelivery, skip_locked=True)
        )
        with self._write() as session:
            return [
                _begin_try(delivery, endpoint, now, lease)
                for delivery, endpoint in session.execute(due)
            ]

    def settle(self, tried: Try, outcome: Outcome) -> None:
        """Write how a try went: delivered, failed, or pending until the next one.

        The outcome is dropped where another sender has followed meanwhile, or the endpoint is gone.
        """
        now = self._clock()
        with self._write() as session:
            if outcome.is_gone:
                _disable(session, tried.id, now)  # locked before its deliveries, as a delete does
            delivery = session.scalars(
                select(WebhookDelivery)
                .where(
                    WebhookDelivery.id == tried.id,
                    WebhookDelivery.attempts == tried.number,
                    WebhookDelivery.status == DeliveryStatus.PENDING,
                )
                .with_for_update()
            ).one_or_none()
            if delivery is None:
                return
            delivery.last_status_code = outcome.status_code
            delivery.last_error = outcome.error and outcome.error[:ERROR_LENGTH]
            if outcome.is_delivered:
                _end(delivery, DeliveryStatus.DELIVERED, now)
            elif outcome.is_gone or tried.number >= MAX_TRIES:
                _end(delivery, DeliveryStatus.FAILED, now)
            else:
                delivery.next_attempt_at = now + self._wait(tried.number, outcome)

    def forget_ended(self) -> int:
        """Delete deliveries that ended some days ago; how many there were."""
        old = WebhookDelivery.ended_at < self._clock() - KEPT
        with self._write() as session:
            gone = delete(WebhookDelivery).where(old).returning(WebhookDelivery.seq)
            return len(session.scalars(gone).all())

    def _wait(self, tries: int, outcome: Outcome) -> timedelta:
        wait_s = max(RETRY_AFTER_S[tries - 1], min(outcome.retry_after_s, LONGEST_WAIT_S))
        return timedelta(seconds=wait_s * (1 + JITTER * self._draw()))


def _begin_try(
    delivery: WebhookDelivery, endpoint: WebhookEndpoint, now: datetime, lease: timedelta
) -> Try:
    delivery.attempts += 1
    delivery.last_attempt_at = now
    delivery.next_attempt_at = now + lease
    return Try(delivery.id, delivery.attempts, endpoint.url, endpoint.secret, delivery.body)


def _end(delivery: WebhookDelivery, status: DeliveryStatus, now: datetime) -> None:
    delivery.status = status
    delivery.next_attempt_at = None
    delivery.ended_at = now


def _disable(session: Session, delivery_id: str, now: datetime) -> None:
    """Tell the endpoint of this delivery nothing any more; what else it was to be told fails."""
    of_delivery = (
        select(WebhookDelivery.endpoint_seq)
        .where(WebhookDelivery.id == delivery_id)
        .scalar_subquery()
    )
    disabled = session.scalars(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.seq == of_delivery)
        .values(disabled_at=now)
        .returning(WebhookEndpoint.seq)
    )
    session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_seq.in_(disabled.all()),
            WebhookDelivery.id != delivery_id,
            WebhookDelivery.status == DeliveryStatus.PENDING,
        )
        .values(
            status=DeliveryStatus.FAILED,
            next_attempt_at=None,
            ended_at=now,
            last_error="another delivery was answered 410 Gone",
        )
    )
