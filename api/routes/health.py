"""Liveness, readiness and figures for whoever runs the service."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import EmbedderDep, ServicesDep, StoreDep
from api.embedder import Embedder
from api.problems import RETRY_AFTER_S, ProblemError
from ppgssl.errors import PpgsslError
from ppgssl.jobs.store import JobStore

router = APIRouter(tags=["health"])

Check = dict[str, Any]


@router.get("/healthz")
async def read_health() -> dict[str, str]:
    """The process answers. Says nothing of the database or the encoders."""
    return {"status": "ok"}


@router.get("/readyz")
async def read_readiness(store: StoreDep, embedder: EmbedderDep) -> dict[str, Any]:
    """The database answers and an embedding was just computed; 503 with the reason where not."""
    checks = {
        "database": await _check_database(store),
        "embedding": await _check_embedding(embedder),
    }
    broken = [f"{name}: {check['error']}" for name, check in checks.items() if not check["ok"]]
    if broken:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "not_ready",
            "; ".join(broken),
            headers={"Retry-After": str(RETRY_AFTER_S)},
            checks=checks,
        )
    return {"status": "ready", "checks": checks}


async def _check_database(store: JobStore) -> Check:
    try:
        await run_in_threadpool(store.ping)
    except SQLAlchemyError as error:
        return {"ok": False, "error": f"cannot be reached ({type(error).__name__})"}
    return {"ok": True}


async def _check_embedding(embedder: Embedder) -> Check:
    try:
        probe = await embedder.probe()
    except SQLAlchemyError as error:
        return {"ok": False, "error": f"needs the database ({type(error).__name__})"}
    except (PpgsslError, ProblemError) as error:
        return {"ok": False, "error": str(error)}
    return {"ok": True, "model": probe.model, "seconds": round(probe.seconds, 4)}


@router.get("/metrics", response_class=Response)
def read_metrics(services: ServicesDep) -> Response:
    """Figures in the text format of Prometheus."""
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)
