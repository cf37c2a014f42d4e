"""The application: routes, what every request passes, and what lives as long as the process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import HTTPBearer

from api.access import AccessMiddleware
from api.dependencies import Services
from api.embedder import Embedder
from api.event_feed import EventFeed
from api.housekeeping import Housekeeping
from api.key_ring import KeyRing
from api.map_maker import MapMaker
from api.metrics import Metrics, MetricsMiddleware, QueueCollector
from api.middleware import BodyLimitMiddleware, RoomMiddleware, SameOriginMiddleware
from api.problems import install_problem_handlers
from api.request_log import RequestLogMiddleware
from api.routes import (
    checkpoints,
    config_schema,
    dashboard,
    datasets,
    docs,
    embedded,
    embedded_windows,
    embeddings,
    events,
    health,
    jobs,
    logs,
    losses,
    maps,
    models,
    presets,
    progress,
    reconstructions,
    reports,
    webhooks,
)
from api.schemas import ProblemRead
from api.security_headers import SecurityHeadersMiddleware
from api.webhook_hosts import AllowedHosts
from api.webhook_post import Postman
from api.webhook_sender import WebhookSender
from ppgssl import __version__
from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.deliveries import Deliveries
from ppgssl.jobs.keys import ApiKeys
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.webhooks import Webhooks

DESCRIPTION = """Pretrain self-supervised PPG encoders and embed with them.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists come in pages:
`limit` and `after` in, `data`, `has_more` and `next` out. Times are RFC 3339 in UTC."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": ProblemRead},
    403: {"model": ProblemRead},
    429: {"model": ProblemRead},
}
"""What any request under /v1 may be answered, whatever its route."""


def create_app(settings: Settings) -> FastAPI:
    """The application with these settings; the database is opened when it starts.

    Raises:
        ConfigError: The hosts that webhooks may be sent to cannot be read.
    """
    metrics = Metrics()
    hosts = AllowedHosts.parse(settings.webhook_hosts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        engine = open_database(settings.database)
        migrate(engine)
        store = JobStore(engine)
        embedder = Embedder(store, settings, metrics)
        metrics.registry.register(QueueCollector(engine))
        key = settings.api_key.get_secret_value() if settings.api_key else None
        app.state.key_ring = KeyRing(ApiKeys(engine), key)
        app.state.services = Services(
            settings=settings,
            store=store,
            events=EventFeed(store),
            embedder=embedder,
            metrics=metrics,
            webhooks=Webhooks(engine),
            webhook_hosts=hosts,
            maps=MapMaker(),
        )
        preloading = asyncio.create_task(embedder.preload())
        with (
            WebhookSender(Deliveries(engine), Postman(hosts)),
            Housekeeping(store, settings),
        ):
            yield
        preloading.cancel()
        await embedder.close()
        engine.dispose()

    app = FastAPI(
        title="ppgssl",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # ours checks what it loads
        redoc_url=None,
    )
    install_problem_handlers(app)
    # Routes are tried in this order: what is asked for most often comes first.
    app.include_router(health.router)
    app.include_router(_v1(embeddings.router))
    app.include_router(
        _v1(
            *(jobs.router, losses.router, progress.router, events.router, logs.router),
            *(checkpoints.router, reconstructions.router, reports.router, embedded.router),
            *(
                embedded_windows.router,
                maps.router,
                models.router,
                datasets.router,
                presets.router,
                config_schema.router,
                webhooks.router,
            ),
        )
    )
    app.include_router(dashboard.router)
    app.include_router(docs.router)
    app.mount("/static", dashboard.STATIC_FILES)
    # The last one added is the first that a request meets.
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes)
    app.add_middleware(RoomMiddleware, endpoint=embeddings.create_embeddings)
    app.add_middleware(AccessMiddleware, settings=settings)
    app.add_middleware(SameOriginMiddleware)
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware)
    return app


def _v1(*routers: APIRouter) -> APIRouter:
    # The key is checked by the middleware; this tells the documentation of it.
    takes_key = [Security(HTTPBearer(auto_error=False))]
    v1 = APIRouter(prefix="/v1", dependencies=takes_key, responses=REFUSALS)
    for router in routers:
        v1.include_router(router)
    return v1
