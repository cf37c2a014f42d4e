"""Real worker processes on a job table: start them, give them jobs, wait for their ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.records import NewJob
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FAKE_WORKER = [sys.executable, str(HERE / "serve_fake_runs.py")]
PATIENCE_S = 60.0


class Bench:
    """Starts workers, creates jobs and waits for what they become."""

    def __init__(self, store: JobStore, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.workers: list[subprocess.Popen[str]] = []
        assert settings.liveness_file is not None
        self.logs = settings.liveness_file.parent

    def start_worker(self, command: list[str] = FAKE_WORKER) -> subprocess.Popen[str]:
        """A worker process; the end of the test kills it."""
        settings = {
            f"PPGSSL_{name.upper()}": str(value)
            for name, value in self.settings.model_dump(exclude_none=True).items()
        }
        path = os.pathsep.join([str(ROOT), str(HERE)])
        log = (self.logs / f"worker-{len(self.workers)}.log").open("w")
        with log:
            worker = subprocess.Popen(
                command,
                env={**os.environ, **settings, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                stderr=log,
                text=True,
            )
        self.workers.append(worker)
        return worker

    def freeze(self, worker: subprocess.Popen[str]) -> None:
        """SIGSTOP, but not in the middle of a write: on SQLite that would stop everybody's."""
        engine = open_database(self.settings.database)
        with engine.begin():  # nobody else can be in the middle of one now
            worker.send_signal(signal.SIGSTOP)
        engine.dispose()

    def stop_workers(self) -> None:
        """End every worker well, and wait until it has."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(PATIENCE_S)

    def create(self, *, max_attempts: int = 3, max_runtime_s: float | None = None, **config) -> str:
        """The id of a new fake job."""
        job = NewJob("fake", config, max_attempts=max_attempts, max_runtime_s=max_runtime_s)
        return self.store.create(job).id

    def wait(
        self, job_id: str, condition: Callable[[Job], bool], patience_s: float = PATIENCE_S
    ) -> Job:
        """The job, once the condition holds."""
        deadline = time.monotonic() + patience_s
        while not condition(job := self.store.get(job_id)):
            if time.monotonic() > deadline:
                pytest.fail(f"{job.status} after {patience_s:g} s: {self.worker_logs()}")
            time.sleep(0.02)
        return job

    def wait_for_status(self, job_id: str, status: str, patience_s: float = PATIENCE_S) -> Job:
        """The job, once it is in this state."""
        return self.wait(job_id, lambda job: job.status == status, patience_s)

    def wait_for_step(self, job_id: str, step: int) -> Job:
        """The job, once it has got so far."""
        return self.wait(job_id, lambda job: (job.progress or {}).get("step", 0) >= step)

    def history(self, job_id: str) -> list[tuple[int, float | None]]:
        """Step and total loss of every point."""
        return [(row.step, row.total) for row in self.store.losses(job_id)]

    def log(self, job_id: str) -> list[str]:
        """What the job's runs wrote."""
        return [line.text for line in self.store.log_lines(job_id).items]

    def worker_logs(self) -> str:
        """What the workers wrote."""
        return "\n".join(f.read_text() for f in sorted(self.logs.glob("*.log")))


@contextmanager
def working(settings: Settings) -> Iterator[Bench]:
    """A bench on a migrated job table; its workers are killed at the end."""
    engine = open_database(settings.database)
    migrate(engine)
    bench = Bench(JobStore(engine), settings)
    yield bench
    for worker in bench.workers:
        worker.kill()
        worker.wait()
    engine.dispose()


def quick_settings(folder: Path, database_url: str) -> Settings:
    """Roots in the test's folder, and everything as quick as is safe."""
    return Settings(
        database_url=database_url,
        data_root=folder / "data",
        artifact_root=folder,
        poll_seconds=0.05,
        report_seconds=0.05,
        min_free_bytes=0,
        lease_seconds=1.5,
        heartbeat_seconds=0.3,
        cancel_grace_seconds=1.0,
        stop_grace_seconds=5.0,
        liveness_file=folder / "worker.alive",
    )


def undisturbed(steps: int) -> list[tuple[int, float | None]]:
    """The history of a fake run that nobody touched."""
    return [(step, 1 / step) for step in range(1, steps + 1)]


def child_pids(whose: str) -> list[int]:
    """Processes that work on the order of a job, by its id, or on those of a bench, by its root."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if b"worker.child" in command and whose.encode() in command and state != "Z":
            found.append(int(process.name))
    return found


def wait_until_gone(job_id: str) -> None:
    deadline = time.monotonic() + 5
    while child_pids(job_id):
        assert time.monotonic() < deadline, "the child outlived its worker"
        time.sleep(0.02)
