"""A folder of recordings, a kept encoder, and jobs of the kind `embed` on a bench."""

import shutil
import sys
from pathlib import Path
from typing import Any

import part_by_part
from worker_bench import Bench

from ppgssl.data.simulated import write_simulated
from ppgssl.inference.bulk import BulkResult, embed_units
from ppgssl.inference.bulk_sources import find_units
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.settings import EmbeddingSettings
from ppgssl.jobs.kinds import EMBEDDINGS_FILE
from ppgssl.jobs.records import NewJob
from ppgssl.jobs.settings import Settings

REAL_WORKER = [sys.executable, "-m", "worker"]
SLOW_WORKER = [sys.executable, part_by_part.__file__]
RECORDINGS = 12
WINDOWS = 3 * RECORDINGS


def make_ready(settings: Settings, encoder_folder: Path) -> None:
    """Recordings of half a minute at 125 Hz in `clinic`, and an encoder that is kept."""
    write_simulated(
        settings.data_root / "clinic",
        subjects=RECORDINGS,
        minutes=0.5,
        fs_hz=125,
        seed=0,
        on_subject=lambda _: None,
    )
    shutil.copytree(encoder_folder / "best", settings.kept_encoders / "kept")


def create(bench: Bench, dataset: str = "clinic", **config: Any) -> str:
    """The id of a new job, past all checks."""
    encoder = {"job_id": None, "checkpoint": None, "sha256": "kept"}
    whole = {"model": "default", "encoder": encoder} | config
    return bench.store.create(NewJob("embed", whole, dataset=dataset)).id


def result_folder(bench: Bench, job_id: str) -> Path:
    """Where the newest claim's embeddings lie."""
    claim = bench.store.newest_claim(job_id)
    assert claim is not None
    return bench.settings.embeddings_folder(job_id, claim)


def embeddings(bench: Bench, job_id: str) -> bytes:
    """The Parquet file of a job."""
    return (result_folder(bench, job_id) / EMBEDDINGS_FILE).read_bytes()


def embedded_here(bench: Bench, out: Path, dataset: str = "clinic", **given: Any) -> BulkResult:
    """The same without any job, in this process."""
    settings = EmbeddingSettings(**given)
    encoder = load_encoder(bench.settings.kept_encoders / "kept")
    return embed_units(
        find_units(
            [bench.settings.data_root / dataset], settings, own_window_s=10.0, own_fs_hz=125.0
        ).units,
        encoder,
        out,
        work=out.with_suffix(".work"),
        granularity=settings.granularity,
        on_progress=lambda _: None,
    )
