"""A real API on a loopback port, in a thread of the test's process, and the job table behind it."""

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import uvicorn

from api.app import create_app
from ppgssl.config import load_config
from ppgssl.data.schema import windows_table
from ppgssl.data.writer import DatasetWriter
from ppgssl.jobs.database import migrate, open_database
from ppgssl.jobs.kinds import EMBEDDINGS_FILE, EMBEDDINGS_SUMMARY
from ppgssl.jobs.records import CheckpointFile, Claim, LossPoint, NewCheckpoint, NewJob, Report
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job

LEASE = timedelta(minutes=5)
REPORT = {
    "report.json": b'{"windows": 7}',
    "report.md": "# Report\n0.5 ± 0.1\n".encode(),
    "hr_bpm.png": b"\x89PNG\r\n\x1a\n...",
}


EMBEDDINGS = b"PAR1 embeddings PAR1"


def summary_of(content: bytes) -> dict[str, Any]:
    """What a run says of a file of embeddings."""
    sha256 = hashlib.sha256(content).hexdigest()
    return {
        "windows": 7,
        "rows": 7,
        "refused": 0,
        "unreadable": {},
        "skipped": {},
        "granularity": "window",
        "embedding_dim": 512,
        "encoder_sha256": "ab" * 32,
        "files": [{"name": EMBEDDINGS_FILE, "size": len(content), "sha256": sha256}],
    }


@dataclass
class Service:
    """One API, its job table, and what a worker would do to it."""

    url: str
    settings: Settings
    store: JobStore
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=20)

    def queue(self, name: str | None = None) -> Job:
        """A queued job, past all checks."""
        config = load_config("small", ["data.window_seconds=10"]).model_dump(mode="json")
        return self.store.create(NewJob("pretrain", config, dataset="made", name=name))

    def run(self, name: str | None = None) -> Claim:
        """A job in a worker's hands."""
        self.queue(name)
        claim = self.store.claim("worker-1", ["pretrain"], LEASE)
        assert claim is not None
        return claim

    def record(self, claim: Claim, steps: Sequence[int], *, log_lines: Sequence[str] = ()) -> None:
        """Tell the losses of some steps: 1 / step."""
        points = [LossPoint(step, 1, "train", {"total": 1 / step, "mse": 0.5}) for step in steps]
        self.store.record(claim.lease, Report(points=points, log_lines=log_lines))

    def save(self, claim: Claim, name: str, source: Path, *, step: int = 1) -> Path:
        """Put a checkpoint's files where a run writes them, and tell of it."""
        relative = Path("jobs") / claim.job.id / "steps" / f"{step:08d}"
        folder = self.settings.artifact_root / relative
        shutil.copytree(source, folder, dirs_exist_ok=True)
        files = [
            CheckpointFile(
                path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
            )
            for path in sorted(folder.iterdir())
        ]
        new = NewCheckpoint(name, step, 1, 0.5, relative.as_posix(), files)
        self.store.record(claim.lease, Report(checkpoints=[new]))
        return folder

    def evaluate(self, **config: Any) -> Claim:
        """An evaluation in a worker's hands, past all checks."""
        self.store.create(NewJob("evaluate", config, dataset="made"))
        claim = self.store.claim("worker-1", ["evaluate"], LEASE)
        assert claim is not None
        return claim

    def evaluated(self, files: Mapping[str, bytes] = REPORT) -> Job:
        """An evaluation that succeeded, with these files as its report."""
        encoder = {"job_id": None, "checkpoint": None, "sha256": "ab" * 32}
        claim = self.evaluate(model="default", encoder=encoder)
        folder = self.settings.report_folder(claim.job.id, claim.lease.number)
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return self.store.succeed(claim.lease)

    def embed(self, **config: Any) -> Claim:
        """A bulk embedding in a worker's hands, past all checks."""
        self.store.create(NewJob("embed", config, dataset="made"))
        claim = self.store.claim("worker-1", ["embed"], LEASE)
        assert claim is not None
        return claim

    def embedded(self, content: bytes = EMBEDDINGS, **told: Any) -> Job:
        """A bulk embedding that succeeded, with this as its file; `told` goes into the summary."""
        claim = self.embed(model="default", encoder={"sha256": "ab" * 32})
        folder = self.settings.embeddings_folder(claim.job.id, claim.lease.number)
        folder.mkdir(parents=True)
        (folder / EMBEDDINGS_FILE).write_bytes(content)
        (folder / EMBEDDINGS_SUMMARY).write_text(json.dumps(summary_of(content) | told))
        return self.store.succeed(claim.lease)

    def trained(self, source: Path) -> Job:
        """A job that succeeded, its best checkpoint that of `source`."""
        claim = self.run()
        self.save(claim, "best", source)
        return self.store.succeed(claim.lease)


@contextmanager
def serving(settings: Settings) -> Iterator[Service]:
    """The service with these settings, from its first answer to its end."""
    config = uvicorn.Config(
        create_app(settings),
        port=0,
        log_config=None,
        timeout_keep_alive=3600,  # no test's connection is cut for being slow
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    engine = open_database(settings.database)
    migrate(engine)
    service = Service(f"http://127.0.0.1:{port}", settings, JobStore(engine))
    try:
        yield service
    finally:
        service.http.close()
        server.should_exit = True
        thread.join()
        engine.dispose()


def settings_in(folder: Path, **given: object) -> Settings:
    """Roots in the test's folder, both of them there."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "artifacts").mkdir(exist_ok=True)
    return Settings.model_validate(
        {
            "data_root": folder / "data",
            "artifact_root": folder / "artifacts",
            "device": "cpu",
            "max_body_bytes": 1_000_000,
            **given,
        }
    )


def make_dataset(
    folder: Path,
    *,
    windows: int = 2,
    samples: int = 1250,
    labels: Mapping[str, float] | None = None,
) -> None:
    """Training windows of one recording, side by side, at 125 Hz, with these labels."""
    signal = np.ones((windows, samples), np.float32)
    rows = windows_table(
        signal=signal,
        denoised=signal,
        recording_ids=["r"] * windows,
        subject_ids=["s"] * windows,
        start_s=np.arange(windows) * samples / 125,
        valid_s=[samples / 125] * windows,
        sqi=[1.0] * windows,
        labels=pa.table({name: [value] * windows for name, value in (labels or {}).items()}),
    )
    columns = dict.fromkeys(labels or {}, pa.float64())
    with DatasetWriter(folder, fs_hz=125.0, window_samples=samples, labels=columns) as writer:
        writer.write(rows, "train")
        writer.finish()
