"""The kind `embed`: real bulk embedding by a tiny encoder in the real worker."""

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from embedding_jobs import (
    REAL_WORKER,
    SLOW_WORKER,
    WINDOWS,
    create,
    embedded_here,
    embeddings,
    make_ready,
    result_folder,
)
from labelled_pulses import SUBJECTS, WINDOWS_EACH, make_labelled_pulses
from orders import Stages, order_of, refusal
from worker_bench import Bench

from ppgssl.data.dataset import open_dataset
from ppgssl.errors import CheckpointWriteError
from ppgssl.inference.bulk import BulkProgress
from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.records import JobError
from ppgssl.jobs.settings import Settings
from worker.embed import Pace, run
from worker.reporter import Stage

BY_THE_KEPT = {"encoder": {"sha256": "kept"}}


@pytest.fixture
def ready(bench: Bench, encoder_folder: Path) -> Bench:
    make_ready(bench.settings, encoder_folder)
    return bench


def summary(bench: Bench, job_id: str) -> dict[str, Any]:
    return json.loads((result_folder(bench, job_id) / "summary.json").read_text())


def rows_of(file: Path) -> list[dict[str, Any]]:
    return pq.read_table(file).to_pylist()


def test_a_folder_of_recordings_gives_the_embeddings_of_the_library(ready: Bench, tmp_path: Path):
    (ready.settings.data_root / "clinic" / "notes.txt").write_text("nothing to see")
    job_id = create(ready, granularity="segment", window_seconds=5.0)

    ready.start_worker(REAL_WORKER)
    job = ready.wait(job_id, lambda job: job.status.is_finished)

    embedded_here(ready, tmp_path / "here.parquet", granularity="segment", window_seconds=5.0)
    folder = result_folder(ready, job_id)
    told = summary(ready, job_id)
    rows = rows_of(folder / "embeddings.parquet")
    assert (job.status, job.error) == ("succeeded", None)
    assert job.progress is not None
    assert (job.progress["fraction"], job.progress["stage"]) == (1.0, "embedding")
    assert job.progress["windows_per_s"] > 0
    assert rows == rows_of(tmp_path / "here.parquet")
    assert (told["windows"], told["rows"], told["refused"]) == (2 * WINDOWS, len(rows), 0)
    assert told["skipped"] == {"notes.txt": "no table of numbers"}
    assert "1 files are no usable recordings, such as notes.txt" in job.warnings[0]
    assert {path.name for path in folder.parent.iterdir()} == {"order.json", "embeddings"}


def test_a_dataset_is_embedded_as_it_is_cut(ready: Bench):
    folder = ready.settings.data_root / "pulses"
    make_labelled_pulses(folder)
    job_id = create(ready, "pulses")

    ready.start_worker(REAL_WORKER)
    ready.wait_for_status(job_id, "succeeded")

    rows = rows_of(result_folder(ready, job_id) / "embeddings.parquet")
    places = open_dataset(folder).split("train").metadata().select(["recording_id", "start_s"])
    assert len(rows) == SUBJECTS * WINDOWS_EACH
    assert [{"recording_id": r["recording_id"], "start_s": r["start_s"]} for r in rows] == (
        places.to_pylist()
    )


@pytest.mark.parametrize(
    ("dataset", "change", "code", "message"),
    [
        ("clinic", {"encoder": {"sha256": "absent"}}, "checkpoint_invalid", "no encoder in"),
        ("absent", {}, "dataset_invalid", "dataset 'absent' does not exist"),
        ("empty", {}, "recording_invalid", "no recordings in"),
    ],
)
def test_a_job_that_cannot_be_done_says_why_and_what_would_mend_it(
    settings: Settings,
    encoder_folder: Path,
    dataset: str,
    change: dict[str, Any],
    code: str,
    message: str,
):
    make_ready(settings, encoder_folder)
    (settings.data_root / "empty").mkdir()

    error = refusal(settings, JobKind.EMBED, BY_THE_KEPT | change, dataset)

    assert error.code == code
    assert message in str(error)


def begun(bench: Bench) -> str:
    """The id of a job with some parts done."""
    job_id = create(bench)
    bench.start_worker(SLOW_WORKER)
    bench.wait(job_id, lambda job: bool(job.progress and job.progress["fraction"] > 0.1))
    return job_id


def test_a_job_is_cancelled_within_seconds(ready: Bench):
    job_id = begun(ready)

    ready.store.request_cancel(job_id)
    job = ready.wait_for_status(job_id, "cancelled")

    assert job.error is None
    assert not result_folder(ready, job_id).exists()


def test_a_paused_job_goes_on_where_it_was(ready: Bench, tmp_path: Path):
    job_id = begun(ready)

    ready.store.request_pause(job_id)
    paused = ready.wait_for_status(job_id, "paused")
    ready.store.request_resume(job_id)
    job = ready.wait_for_status(job_id, "succeeded")

    assert paused.progress is not None
    assert job.attempt == 1
    assert by_an_earlier_run(ready, job_id) > 0
    embedded_here(ready, tmp_path / "here.parquet")
    folder = result_folder(ready, job_id)
    assert_alike(folder / "embeddings.parquet", tmp_path / "here.parquet")


def by_an_earlier_run(bench: Bench, job_id: str) -> int:
    """How many windows the last run found done."""
    (said,) = (line for line in bench.log(job_id) if "by an earlier run" in line)
    return int(said.split()[-7])


def assert_alike(one: Path, other: Path) -> None:
    """The same rows; batches of other sizes round differently."""
    ours, theirs = pq.read_table(one), pq.read_table(other)
    assert ours.drop_columns("embedding").equals(theirs.drop_columns("embedding"))
    np.testing.assert_allclose(
        np.stack(ours["embedding"].to_numpy()),
        np.stack(theirs["embedding"].to_numpy()),
        rtol=1e-3,
        atol=1e-5,
    )


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_hands_the_job_on_with_its_parts(ready: Bench):
    job_id = begun(ready)

    ready.workers[0].terminate()
    ready.workers[0].wait()
    ready.start_worker(SLOW_WORKER)
    job = ready.wait_for_status(job_id, "succeeded")

    assert job.attempt == 1
    assert by_an_earlier_run(ready, job_id) > 0
    assert len(list(ready.settings.attempts_folder(job_id).iterdir())) == 1
    assert len(embeddings(ready, job_id)) == summary(ready, job_id)["files"][0]["size"]


def test_a_full_disk_is_told_so_that_another_attempt_is_made(
    ready: Bench, monkeypatch: pytest.MonkeyPatch
):
    order = order_of(ready.settings, JobKind.EMBED, BY_THE_KEPT, "clinic")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ppgssl.inference.bulk.join_parts", refuse)
    with pytest.raises(CheckpointWriteError, match="No space left on device; what was finished"):
        run(order, Stages(), lambda: False)
    left = {path.name for path in Path(order.out).iterdir()}
    monkeypatch.undo()

    assert JobError(CheckpointWriteError.code, "").is_retryable
    assert left == {".parts"}
    assert run(order, Stages(), lambda: False) == "completed"
    assert {path.name for path in Path(order.out).iterdir()} == {"embeddings"}


def test_the_pace_is_that_of_this_run_alone():
    clock = iter([100.0, 110.0])
    reporter = Stages()
    pace = Pace(reporter, lambda: next(clock))

    pace.tell(BulkProgress(units=5, of_units=10, windows=500, fraction=0.5))
    pace.tell(BulkProgress(units=7, of_units=10, windows=700, fraction=0.75))

    assert reporter.told == [
        Stage("embedding", 500, 1000),
        Stage("embedding", 750, 1000, windows_per_s=20.0, eta_s=10.0),
    ]
