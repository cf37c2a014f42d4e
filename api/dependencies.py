"""What routes ask for: the services of this process, and the job that a path names.

What only looks into memory is `async`: FastAPI sends everything else to a thread and back.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from api.embedder import Embedder
from api.event_feed import EventFeed
from api.map_maker import MapMaker
from api.metrics import Metrics
from api.webhook_hosts import AllowedHosts
from ppgssl.jobs.errors import JobNotFoundError
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job
from ppgssl.jobs.webhooks import Webhooks

JOB_ID = re.compile(r"job_[0-9a-f]{1,40}")


@dataclass(frozen=True, slots=True)
class Services:
    """What lives as long as the process."""

    settings: Settings
    store: JobStore
    events: EventFeed
    embedder: Embedder
    metrics: Metrics
    webhooks: Webhooks
    webhook_hosts: AllowedHosts
    maps: MapMaker


async def get_services(request: Request) -> Services:
    """The services that the application was started with."""
    return request.app.state.services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_settings(services: ServicesDep) -> Settings:
    """The settings."""
    return services.settings


async def get_store(services: ServicesDep) -> JobStore:
    """The job table."""
    return services.store


async def get_embedder(services: ServicesDep) -> Embedder:
    """The encoders."""
    return services.embedder


async def get_webhooks(services: ServicesDep) -> Webhooks:
    """Who is told of jobs."""
    return services.webhooks


async def get_webhook_hosts(services: ServicesDep) -> AllowedHosts:
    """Who may be told of jobs."""
    return services.webhook_hosts


async def get_event_feed(services: ServicesDep) -> EventFeed:
    """What happens to jobs."""
    return services.events


async def get_map_maker(services: ServicesDep) -> MapMaker:
    """Maps of embeddings."""
    return services.maps


SettingsDep = Annotated[Settings, Depends(get_settings)]
StoreDep = Annotated[JobStore, Depends(get_store)]
EventFeedDep = Annotated[EventFeed, Depends(get_event_feed)]
EmbedderDep = Annotated[Embedder, Depends(get_embedder)]
MapMakerDep = Annotated[MapMaker, Depends(get_map_maker)]
WebhooksDep = Annotated[Webhooks, Depends(get_webhooks)]
WebhookHostsDep = Annotated[AllowedHosts, Depends(get_webhook_hosts)]


async def get_job_id(job_id: Annotated[str, Path(description="Id of a job.")]) -> str:
    """The id in the path; one that no job can have is refused before the database sees it.

    Raises:
        JobNotFoundError: It cannot be a job's id.
    """
    if JOB_ID.fullmatch(job_id) is None:
        raise JobNotFoundError(f"no job has the id {job_id!r}; ids look like job_0123456789abcdef")
    return job_id


JobIdDep = Annotated[str, Depends(get_job_id)]


def get_job(job_id: JobIdDep, store: StoreDep) -> Job:
    """The job that the path names.

    Raises:
        JobNotFoundError: There is none.
    """
    return store.get(job_id)


JobDep = Annotated[Job, Depends(get_job)]
