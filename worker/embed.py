"""The kind `embed`: every window of a dataset or a folder of recordings, as a Parquet file.

Finished parts lie in the claim's folder and are taken over by the next claim, so a run that was
stopped or died goes on where it was. The embeddings appear as a whole, with a summary beside them,
once all of them are there, or not at all.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ppgssl.data.dataset import resolve_dataset
from ppgssl.errors import CheckpointWriteError, DatasetError
from ppgssl.inference.bulk import BulkProgress, BulkResult, StoppedError, embed_units
from ppgssl.inference.bulk_sources import FoundUnits, find_units
from ppgssl.inference.encoder import PpgEncoder
from ppgssl.inference.settings import EmbeddingSettings
from ppgssl.jobs.kinds import (
    EMBEDDINGS_FILE,
    EMBEDDINGS_FOLDER,
    EMBEDDINGS_SUMMARY,
    PARTS_FOLDER,
)
from worker.kept_encoders import load_kept
from worker.kinds import COMPLETED, STOPPED
from worker.order import Order
from worker.reporter import RunReporter, Stage

log = logging.getLogger(__name__)

STEPS = 1000  # of progress
STAGE = "embedding"


def run(order: Order, reporter: RunReporter, should_stop: Callable[[], bool]) -> str:
    """Embed with the encoder that was settled on submission, and leave the Parquet file.

    Raises:
        PpgsslError: Dataset or encoder cannot be used, no recording can be read, or the disk is
            full.
    """
    settings = EmbeddingSettings.of_job(order.config)
    encoder = load_kept(order, order.config["encoder"])
    folder = source_of(order)
    found = find(folder, settings, encoder)
    out, work = Path(order.out), Path(order.out) / PARTS_FOLDER
    try:
        with TemporaryDirectory(prefix=".embeddings-", dir=out) as scratch:
            written = Path(scratch) / EMBEDDINGS_FOLDER
            result = embed_units(
                found.units,
                encoder,
                written / EMBEDDINGS_FILE,
                work=work,
                granularity=settings.granularity,
                on_progress=Pace(reporter, time.monotonic).tell,
                should_stop=should_stop,
            )
            summary = summary_of(result, found, folder, encoder, settings)
            publish(written, summary, out / EMBEDDINGS_FOLDER)
    except StoppedError:
        return STOPPED
    except OSError as error:
        raise CheckpointWriteError(
            f"cannot write embeddings to {out}: {error.strerror or error}; what was finished is "
            "kept: free some room, and submit the job again if it has failed"
        ) from error
    shutil.rmtree(work, ignore_errors=True)  # what it leaves goes when the job is tidied
    warn(summary, reporter)
    log.info("%d windows, %d of them by an earlier run", result.windows, result.resumed)
    return COMPLETED


def source_of(order: Order) -> Path:
    """The folder of the dataset or of the recordings.

    Raises:
        DatasetError: It is missing, or does not lie below the data root.
    """
    if order.dataset is None:
        raise DatasetError("an embed job needs a dataset; name a folder of the data root")
    return resolve_dataset(Path(order.data_root), order.dataset)


def find(folder: Path, settings: EmbeddingSettings, encoder: PpgEncoder) -> FoundUnits:
    """What there is to embed; files behind links that lead out of the folder are skipped.

    Raises:
        InputError: The dataset is damaged, or there is no recording.
    """
    found = find_units(
        [folder],
        settings,
        own_window_s=encoder.info.window_s,
        own_fs_hz=encoder.info.fs_hz,
        within=folder,
    )
    log.info("%d recordings, or pieces of a dataset; on %s", len(found.units), encoder.device)
    return found


class Pace:
    """Turns what bulk embedding tells into progress, with the speed of this run.

    Args:
        reporter: Is told.
        clock: Seconds.
    """

    def __init__(self, reporter: RunReporter, clock: Callable[[], float]) -> None:
        self._reporter = reporter
        self._clock = clock
        self._began: tuple[float, BulkProgress] | None = None

    def tell(self, at: BulkProgress) -> None:
        """Tell where the run is."""
        now = self._clock()
        began_s, first = self._began = self._began or (now, at)
        elapsed_s, share = now - began_s, at.fraction - first.fraction
        is_known = elapsed_s > 0 and share > 0
        self._reporter.stage(
            Stage(
                STAGE,
                round(STEPS * at.fraction),
                STEPS,
                windows_per_s=(at.windows - first.windows) / elapsed_s if is_known else None,
                eta_s=elapsed_s * (1 - at.fraction) / share if is_known else None,
            )
        )


def summary_of(
    result: BulkResult,
    found: FoundUnits,
    folder: Path,
    encoder: PpgEncoder,
    settings: EmbeddingSettings,
) -> dict[str, Any]:
    """What a user should know of the file without opening it."""
    here = f"{folder}/"  # where it lies on this machine is nobody's business
    return {
        "windows": result.windows,
        "rows": result.rows,
        "refused": result.refused,
        "unreadable": {
            recording_id: reason.replace(here, "")
            for recording_id, reason in result.unreadable.items()
        },
        "skipped": {
            path.relative_to(folder).as_posix(): reason.replace(here, "")
            for path, reason in found.skipped
        },
        "granularity": settings.granularity.value,
        "embedding_dim": encoder.info.embedding_dim,
        "encoder_sha256": encoder.info.sha256,
        "encoder_fs_hz": encoder.info.fs_hz,
        "encoder_window_s": encoder.info.window_s,
    }


def publish(written: Path, summary: Mapping[str, Any], place: Path) -> None:
    """Put the summary beside the file, and both where they belong.

    Hashing a large file takes a while: it is done here once, and not by who is asked for it.
    """
    file = written / EMBEDDINGS_FILE
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    files = [{"name": file.name, "size": file.stat().st_size, "sha256": sha256}]
    content = json.dumps({**summary, "files": files}, indent=1)
    (written / EMBEDDINGS_SUMMARY).write_text(content, encoding="utf-8")
    written.rename(place)


def warn(summary: Mapping[str, Any], reporter: RunReporter) -> None:
    """Say on the job what its embeddings lack."""
    if refused := summary["refused"]:
        reporter.warning(
            f"{refused} windows were refused and have no embedding; the column `fault` says why"
        )
    for name, what in (
        ("unreadable", "recordings could not be read"),
        ("skipped", "files are no usable recordings"),
    ):
        if items := summary[name]:
            first, reason = next(iter(items.items()))
            reporter.warning(
                f"{len(items)} {what}, such as {first}: {reason}; the summary lists them"
            )
