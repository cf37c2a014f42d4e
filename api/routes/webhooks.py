"""Webhooks: who is told when a job's status changes, and what became of it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path

from api.dependencies import WebhookHostsDep, WebhooksDep
from api.paging import After, Limit, PageRead, invalid_cursor, page_of
from api.routes.jobs import CONFLICT, NOT_FOUND
from api.schemas import DeliveryRead, WebhookCreate, WebhookCreated, WebhookRead
from ppgssl.jobs.errors import DeliveryNotFoundError, WebhookNotFoundError

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

WebhookId = Annotated[
    str, Path(pattern=r"^[^\x00]*$", max_length=255, description="Id of a webhook.")
]


@router.post("", status_code=HTTPStatus.CREATED)
def create_webhook(
    body: WebhookCreate, webhooks: WebhooksDep, hosts: WebhookHostsDep
) -> WebhookCreated:
    """Tell a URL of jobs from now on, signed after Standard Webhooks; the secret is shown once."""
    url = hosts.check(body.url)
    row = webhooks.create(str(url), body.events, body.description)
    return WebhookCreated.model_validate(row)


@router.get("")
def list_webhooks(
    webhooks: WebhooksDep, limit: Limit = 20, after: After = None
) -> PageRead[WebhookRead]:
    """Webhooks, newest first."""
    try:
        page = webhooks.endpoints(after=after, limit=limit)
    except WebhookNotFoundError as error:
        raise invalid_cursor(after) from error
    shown = [WebhookRead.model_validate(row) for row in page.items]
    return page_of(shown, has_more=page.has_more, cursor=shown[-1].id if shown else None)


@router.delete("/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND)
def delete_webhook(webhook_id: WebhookId, webhooks: WebhooksDep) -> None:
    """Forget a webhook, and what it was to be told."""
    webhooks.delete(webhook_id)


@router.get("/{webhook_id}/deliveries", responses=NOT_FOUND)
def list_deliveries(
    webhook_id: WebhookId, webhooks: WebhooksDep, limit: Limit = 20, after: After = None
) -> PageRead[DeliveryRead]:
    """What a webhook was told and is to be told, newest first; kept for a week after its end."""
    try:
        page = webhooks.deliveries(webhook_id, after=after, limit=limit)
    except DeliveryNotFoundError as error:
        raise invalid_cursor(after) from error
    shown = [DeliveryRead.model_validate(row) for row in page.items]
    return page_of(shown, has_more=page.has_more, cursor=shown[-1].id if shown else None)


@router.post("/{webhook_id}/test", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND | CONFLICT)
def send_test(webhook_id: WebhookId, webhooks: WebhooksDep) -> DeliveryRead:
    """Tell a webhook an event of the type `webhook.test`."""
    return DeliveryRead.model_validate(webhooks.queue_test(webhook_id))
