"""Figures for Prometheus: requests, embeddings, and the queue at the moment of asking.

A registry per application, never the library's global one: two applications in one process, as in
tests, do not mix.
"""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ppgssl.jobs.store import JobStore

NO_ROUTE = "none"


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
            "Time on the encoder's thread per request.",
            registry=self.registry,
        )
        self.waiting = Gauge(
            "ppgssl_embedding_requests", "Embedding requests not done yet.", registry=self.registry
        )


class QueueCollector(Collector):
    """The job table in numbers, read when it is asked for."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        """Jobs by status, and how long the oldest queued one has waited."""
        figures = self._store.queue_figures()
        jobs = GaugeMetricFamily("ppgssl_jobs", "Jobs by status.", labels=["status"])
        for status, count in figures.jobs.items():
            jobs.add_metric([status], count)
        yield jobs
        yield GaugeMetricFamily(
            "ppgssl_oldest_queued_seconds",
            "How long the oldest queued job has waited.",
            value=figures.oldest_queued_s,
        )


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
            route: str = getattr(scope.get("endpoint"), "__name__", NO_ROUTE)
            self._metrics.requests.labels(scope["method"], route, status).inc()
            self._metrics.seconds.labels(scope["method"], route).observe(
                time.perf_counter() - began
            )
