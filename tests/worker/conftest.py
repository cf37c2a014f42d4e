"""A job table in the test's folder, and a bench of workers on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_bench import Bench, quick_settings, working

from ppgssl.jobs.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return quick_settings(tmp_path, f"sqlite:///{tmp_path}/jobs.sqlite")


@pytest.fixture
def bench(settings: Settings) -> Iterator[Bench]:
    with working(settings) as bench:
        yield bench
