"""The figures that are exported, and the dashboard that draws them."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_service import Service
from prometheus_client.parser import text_string_to_metric_families

from ppgssl.jobs.records import Report

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "ppgssl.json"


def exported(http: httpx.Client) -> dict[str, set[str]]:
    """Names of the exported samples, with the labels of each."""
    families = list(text_string_to_metric_families(http.get("/metrics").text))
    names = {name: set[str]() for family in families for name in [family.name]}
    for family in families:
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


def queries() -> list[str]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def labels_of(query: str) -> set[str]:
    """Labels that a query groups by."""
    groups = re.findall(r"\bby \(([^)]*)\)", query)
    return {label.strip() for group in groups for label in group.split(",")}


def run_a_job_of_each_fate(service: Service) -> None:
    service.store.succeed(service.run().lease)
    progress = {"step": 1, "steps": 3, "eta_s": 4.0, "windows_per_s": 32.0}
    progress |= {"device_memory_bytes": 2**30, "device_utilisation": 0.75}
    service.store.record(service.run().lease, Report(progress=progress))
    service.queue()
    service.http.get("/healthz")


def test_every_query_of_the_dashboard_finds_its_metric_and_labels(service: Service):
    run_a_job_of_each_fate(service)

    names = exported(service.http)

    for query in queries():
        (name, *others) = set(re.findall(r"\bppgssl_\w+", query))
        assert all(other in names for other in (name, *others)), query
        assert labels_of(query) <= names[name], query


def test_every_job_metric_is_drawn(service: Service):
    run_a_job_of_each_fate(service)

    told = {name for name in exported(service.http) if name.startswith("ppgssl_job")}

    assert told <= set(re.findall(r"\bppgssl_\w+", " ".join(queries())))


def test_the_panels_of_the_dashboard_do_not_overlap():
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]

    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize(
    "line",
    [
        'ppgssl_job_outcomes{kind="pretrain",reason="none",status="succeeded"} 1.0',
        'ppgssl_job_attempts{kind="pretrain"} 2.0',
        'ppgssl_jobs{kind="pretrain",status="queued"} 1.0',
    ],
)
def test_a_known_table_gives_known_figures(service: Service, line: str):
    run_a_job_of_each_fate(service)

    assert line in service.http.get("/metrics").text.splitlines()
