"""The tables of webhooks: whom to tell, and what each of them is still to be told.

A delivery holds the very text that is sent and signed, written when the event happened: what is
told later does not depend on what the job has become meanwhile.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ppgssl.jobs.tables import Base, UtcDateTime, words_of


class DeliveryStatus(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    """To be sent, for the first time or again."""
    DELIVERED = "delivered"
    """The receiver answered 2xx."""
    FAILED = "failed"
    """Every try failed, or the receiver is gone; will not be tried again."""


class WebhookEndpoint(Base):
    """A URL that is told of jobs."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = ({"sqlite_autoincrement": True},)

    seq: Mapped[int] = mapped_column(primary_key=True)
    """Order of creation."""
    id: Mapped[str] = mapped_column(String(40), unique=True)
    url: Mapped[str]
    events: Mapped[list[str]]
    """Statuses of jobs that it is told of."""
    description: Mapped[str | None]
    secret: Mapped[str] = mapped_column(String(80))
    """`whsec_` and base64. A signature needs it, so a hash would not do."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Since then it is told nothing: it answered that it is gone."""


class WebhookDelivery(Base):
    """One event for one endpoint, from the transaction that it happened in to its end."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index(None, "status", "next_attempt_at"),
        Index(None, "endpoint_seq", "seq"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(primary_key=True)
    """Order of creation."""
    id: Mapped[str] = mapped_column(String(40), unique=True)
    """The header `webhook-id` of every try."""
    endpoint_seq: Mapped[int] = mapped_column(
        ForeignKey("webhook_endpoints.seq", ondelete="CASCADE")
    )
    type: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    """JSON, as it is sent and signed."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())

    status: Mapped[DeliveryStatus] = mapped_column(words_of(DeliveryStatus))
    attempts: Mapped[int]
    """Tries begun; fence: only whoever began the last one may say how it went."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Of a pending one. A try moves it first, as far as it may take: who dies is followed."""
    last_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    last_status_code: Mapped[int | None]
    last_error: Mapped[str | None]
    """Why the last try failed; empty where there was none, or it did not."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
