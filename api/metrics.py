"""Figures for Prometheus: requests, embeddings, and the queue at the moment of asking.

A registry per application, never the library's global one: two applications in one process, as in
tests, do not mix.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ppgssl.jobs.figures import Figures, read_figures

NO_ROUTE = "none"
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """What is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ppgssl_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "ppgssl_http_request_seconds",
            "Time until a request was answered in full.",
            ["method", "route"],
            registry=self.registry,
        )
        self.embedded = Counter(
            "ppgssl_embedded_windows", "Windows embedded.", registry=self.registry
        )
        self.refused = Counter(
            "ppgssl_refused_windows", "Windows that could not be embedded.", registry=self.registry
        )
        self.embedding_seconds = Histogram(
            "ppgssl_embedding_seconds",
            "Time on a lane of the encoder process per batch.",
            registry=self.registry,
        )
        self.batch_windows = Histogram(
            "ppgssl_embedding_batch_windows",
            "Windows per batch, of one request or several.",
            buckets=BATCH_SIZES,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "ppgssl_embedding_requests", "Embedding requests not done yet.", registry=self.registry
        )


class QueueCollector(Collector):
    """The job table in numbers, read when it is asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """Jobs and their ages, outcomes, attempts, and how those that run get on."""
        figures = read_figures(self._engine, datetime.now(UTC))
        jobs = GaugeMetricFamily("ppgssl_jobs", "Jobs in the table.", labels=["kind", "status"])
        ages = GaugeMetricFamily(
            "ppgssl_oldest_job_seconds",
            "Time since the oldest unfinished job was queued.",
            labels=["kind", "status"],
        )
        for group in figures.groups:
            jobs.add_metric([group.kind, group.status], group.jobs)
            if group.oldest_s is not None:
                ages.add_metric([group.kind, group.status], group.oldest_s)
        return [jobs, ages, *_history(figures), *_running(figures)]


def _history(figures: Figures) -> list[Metric]:
    outcomes = GaugeMetricFamily(
        "ppgssl_job_outcomes",
        "Finished jobs in the table, by the code of their error.",
        labels=["kind", "status", "reason"],
    )
    for outcome in figures.outcomes:
        outcomes.add_metric([outcome.kind, outcome.status, outcome.reason], outcome.jobs)
    attempts = GaugeMetricFamily(
        "ppgssl_job_attempts", "Attempts begun by the jobs in the table.", labels=["kind"]
    )
    for kind, count in figures.attempts.items():
        attempts.add_metric([kind], count)
    return [outcomes, attempts]


def _running(figures: Figures) -> list[Metric]:
    return [
        _per_job(figures, "windows_per_s", "ppgssl_job_windows_per_second", "Windows a second"),
        _per_job(figures, "step_s", "ppgssl_job_step_seconds", "Time per step"),
        _per_job(
            figures,
            "device_memory_bytes",
            "ppgssl_job_device_memory_bytes",
            "Memory in use, by everybody, on the CUDA device",
        ),
        _per_job(
            figures,
            "device_utilisation",
            "ppgssl_job_device_utilisation_ratio",
            "Share of the time that computes, on the CUDA device",
        ),
    ]


def _per_job(figures: Figures, field: str, name: str, what: str) -> Metric:
    family = GaugeMetricFamily(name, f"{what} of a running job.", labels=["job_id", "kind"])
    for job in figures.running:
        value = getattr(job, field)
        if value is not None:
            family.add_metric([job.job_id, job.kind], value)
    return family


def route_of(scope: Scope) -> str:
    """Name of the function that answers, without the ids of the path."""
    return getattr(scope.get("endpoint"), "__name__", NO_ROUTE)


class MetricsMiddleware:
    """Count every request under its route's function, so that ids make no new series."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it was answered."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        status, began = 500, time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = route_of(scope)
            self._metrics.requests.labels(scope["method"], route, status).inc()
            self._metrics.seconds.labels(scope["method"], route).observe(
                time.perf_counter() - began
            )
