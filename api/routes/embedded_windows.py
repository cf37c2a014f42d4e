"""Single windows of what a job embedded: their signals, and which others are nearest."""

from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from fastapi import Path as PathParameter

from api.curves import FromSeconds, MaxPoints, ToSeconds, curve, part_of
from api.dependencies import JobDep, SettingsDep, StoreDep
from api.problems import ProblemError
from api.routes.embedded import embedded_files, summary_of
from api.routes.jobs import CONFLICT, NOT_FOUND
from api.routes.reports import GONE
from api.schemas import (
    EmbeddedWindowRead,
    NearestRead,
    NearestToAsk,
    NearestToRead,
    ProblemRead,
)
from ppgssl.data.dataset import resolve_dataset
from ppgssl.errors import EmbeddingsError, InputError
from ppgssl.inference.embedded_signal import find_signal
from ppgssl.inference.embedding_file import DESCRIPTION, EmbeddingFile
from ppgssl.inference.search import find_nearest
from ppgssl.inference.search_queries import queries_from, select_queries
from ppgssl.inference.settings import EmbeddingSettings
from ppgssl.jobs.kinds import EMBEDDINGS_FILE
from ppgssl.json_values import finite

router = APIRouter(prefix="/jobs/{job_id}/embeddings", tags=["embeddings"])

DEFAULT_FS_HZ = 125.0
"""Rate of arrays' rows that neither the job nor its summary names."""
MOST_ROWS = 2**62

Row = Annotated[int, PathParameter(ge=0, le=MOST_ROWS, description="Place in the file, from 0.")]
REFUSED: dict[int | str, dict[str, Any]] = {422: {"model": ProblemRead}}


@router.get("/windows/{row}", responses=NOT_FOUND | CONFLICT | GONE | REFUSED)
def read_embedded_window(
    job: JobDep,
    row: Row,
    store: StoreDep,
    settings: SettingsDep,
    from_s: FromSeconds = 0,
    to_s: ToSeconds = None,
    max_points: MaxPoints = 4000,
) -> EmbeddedWindowRead:
    """What is known of a row, and its signal or a part of it, read from where it was embedded."""
    file = EmbeddingFile.open(embedded_files(job, store, settings)[EMBEDDINGS_FILE])
    check_row(file, row)
    own_fs_hz = summary_of(job, store, settings).get("encoder_fs_hz", DEFAULT_FS_HZ)
    folder = resolve_dataset(settings.data_root, job.dataset or "")
    try:
        found = find_signal(
            file, row, folder, EmbeddingSettings.of_job(job.config), own_fs_hz=own_fs_hz
        )
    except InputError as error:
        raise type(error)(str(error).replace(f"{folder}/", "")) from error
    if found is None:
        raise ProblemError(
            HTTPStatus.GONE,
            "signal_gone",
            f"{job.dataset} has the recording of row {row} no more; embed what it holds now",
        )
    start, stop = part_of(len(found.samples), found.fs_hz, from_s, to_s)
    columns = [*DESCRIPTION, *(["fault"] if file.tells_faults else [])]
    [described] = file.take(np.array([row]), columns).to_pylist()
    return EmbeddedWindowRead(
        row=row,
        **{name: finite(value) for name, value in ({"fault": None} | described).items()},
        known={name: finite(value) for name, value in found.known.items()},
        begin_s=found.begin_s,
        fs_hz=found.fs_hz,
        samples=len(found.samples),
        signal=curve(found.samples, start, stop, found.fs_hz, max_points),
    )


@router.get("/windows/{row}/nearest", responses=NOT_FOUND | CONFLICT | GONE | REFUSED)
def read_nearest(
    job: JobDep,
    row: Row,
    store: StoreDep,
    settings: SettingsDep,
    k: Annotated[int, Query(ge=1, le=100, description="How many.")] = 5,
    exclude_same_recording: Annotated[bool, Query(description="Find windows of others only.")] = (
        False
    ),
) -> NearestRead:
    """The rows that are nearest to one of them, by cosine, nearest first; never that row itself."""
    file = EmbeddingFile.open(embedded_files(job, store, settings)[EMBEDDINGS_FILE])
    check_row(file, row)
    try:
        asked = select_queries(file, row=row)
    except EmbeddingsError as error:
        raise EmbeddingsError(str(error).replace(str(file.path), file.path.name)) from error
    [found] = find_nearest(file, asked, k, exclude_same_recording=exclude_same_recording)
    return NearestRead.model_validate({"data": found}, from_attributes=True)


@router.post("/nearest", responses=NOT_FOUND | CONFLICT | GONE | REFUSED)
def find_nearest_to(
    job: JobDep, asked: NearestToAsk, store: StoreDep, settings: SettingsDep
) -> NearestToRead:
    """The rows that are nearest to given embeddings, such as those of a new recording."""
    file = EmbeddingFile.open(embedded_files(job, store, settings)[EMBEDDINGS_FILE])
    widths = sorted({len(vector) for vector in asked.embeddings})
    if widths != [file.width]:
        raise EmbeddingsError(
            f"expected embeddings of {file.width} numbers, as job {job.id} has them, "
            f"got {' and '.join(map(str, widths))}"
        )
    if asked.encoder_sha256 is not None and file.encoder_sha256 not in (None, asked.encoder_sha256):
        raise EmbeddingsError(
            f"job {job.id} embedded with the encoder {file.encoder_sha256}, whose embeddings "
            f"cannot be compared with those of {asked.encoder_sha256}; embed both with one encoder"
        )
    vectors = np.array(asked.embeddings, np.float32)
    found = find_nearest(file, queries_from(vectors), asked.k)
    return NearestToRead.model_validate({"data": found}, from_attributes=True)


def check_row(file: EmbeddingFile, row: int) -> None:
    """Refuse a row that the file does not have.

    Raises:
        ProblemError: 404.
    """
    if row >= file.num_rows:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "window_not_found",
            f"the embeddings have the rows 0 to {file.num_rows - 1}, not {row}",
        )
