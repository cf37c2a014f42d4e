"""A bench of real workers on each database, checked after every fault; figures at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_bench import Bench, quick_settings, working

from ppgssl.jobs.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return quick_settings(tmp_path, database_url)


@pytest.fixture
def bench(settings: Settings) -> Iterator[Bench]:
    with working(settings) as bench:
        yield bench


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured with `record_property`; docs/reliability.md keeps it."""
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and "tests/faults/" in report.nodeid:
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {name} {value}")
