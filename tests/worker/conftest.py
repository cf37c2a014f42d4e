"""A job table in the test's folder, and a bench of workers on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_bench import Bench

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Roots in the test's folder, and everything as quick as is safe."""
    return Settings(
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite",
        data_root=tmp_path / "data",
        artifact_root=tmp_path,
        poll_seconds=0.05,
        report_seconds=0.05,
        lease_seconds=1.5,
        heartbeat_seconds=0.3,
        cancel_grace_seconds=1.0,
        stop_grace_seconds=5.0,
        liveness_file=tmp_path / "worker.alive",
    )


@pytest.fixture
def bench(settings: Settings) -> Iterator[Bench]:
    engine = open_database(settings.database)
    migrate(engine)
    bench = Bench(JobStore(engine), settings)
    yield bench
    for worker in bench.workers:
        worker.kill()
        worker.wait()
    engine.dispose()
