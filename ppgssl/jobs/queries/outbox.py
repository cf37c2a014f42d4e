"""What endpoints are to be told, put down in the transaction in which it happens.

A state change that is rolled back takes its deliveries along, and one that is committed has them:
nothing is lost between the two, and nothing is told that did not happen. Nothing here sends.
"""

import json
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ppgssl.jobs.tables import Job
from ppgssl.jobs.webhook_tables import DeliveryStatus, WebhookDelivery, WebhookEndpoint


def tell_endpoints(session: Session, job: Job, now: datetime) -> None:
    """Put down the status that the job has now for every endpoint that asked for it.

    The endpoints are kept from being deleted until the transaction ends: a delivery to one that
    went away meanwhile would break the job's own change.
    """
    endpoints = session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.disabled_at.is_(None))
        .order_by(WebhookEndpoint.seq)
        .with_for_update(read=True, key_share=True)
    )
    for endpoint in endpoints:
        if job.status.value in endpoint.events:
            session.add(new_delivery(endpoint, f"job.{job.status.value}", told_of(job), now))


def told_of(job: Job) -> dict[str, Any]:
    """What an endpoint is told of a job, each member as `GET /v1/jobs/{id}` names it."""
    return {
        "id": job.id,
        "kind": job.kind,
        "name": job.name,
        "status": job.status.value,
        "attempt": job.attempt,
        "error": job.error,
        "metadata": job.user_metadata,
        "last_event": job.last_event,
    }


def new_delivery(
    endpoint: WebhookEndpoint, event_type: str, data: dict[str, Any], now: datetime
) -> WebhookDelivery:
    """A delivery that is due at once."""
    timestamp = now.isoformat().replace("+00:00", "Z")
    told = {"type": event_type, "timestamp": timestamp, "data": data}
    return WebhookDelivery(
        id=f"msg_{secrets.token_hex(12)}",
        endpoint_seq=endpoint.seq,
        type=event_type,
        body=json.dumps(told, separators=(",", ":")),
        created_at=now,
        status=DeliveryStatus.PENDING,
        attempts=0,
        next_attempt_at=now,
    )
