"""A map of what a job embedded: two coordinates a window, and what is known to colour them by."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi import APIRouter, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from api.dependencies import JobDep, MapMakerDep, SettingsDep, StoreDep
from api.routes.embedded import embedded_files
from api.routes.jobs import CONFLICT, NOT_FOUND
from api.routes.reports import GONE, JSON
from api.schemas import MapRead, ProblemRead
from ppgssl.data.browsing import windows_holding
from ppgssl.data.dataset import is_dataset, open_dataset, resolve_dataset
from ppgssl.errors import DatasetError
from ppgssl.inference.embedding_map import MapMethod
from ppgssl.jobs.kinds import EMBEDDINGS_FILE

router = APIRouter(prefix="/jobs/{job_id}/map", tags=["embeddings"])

MAPS_FOLDER = "maps"
"""Beside the embeddings' folder."""
OF_NO_GROUP = -1
PLACES = ("row", "x", "y")
NO_COLOURS = frozenset({*PLACES, "window_id", "valid_s"})
UNMAPPED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY: {"model": ProblemRead}
}


@router.get("", response_model=MapRead, responses=NOT_FOUND | CONFLICT | GONE | UNMAPPED)
async def read_map(
    job: JobDep,
    maps: MapMakerDep,
    store: StoreDep,
    settings: SettingsDep,
    method: Annotated[
        MapMethod, Query(description="pca keeps distances; umap neighbours, where it is installed.")
    ] = MapMethod.PCA,
) -> Response:
    """Coordinates of the windows that a job embedded. The first one who asks waits for them."""
    files = await run_in_threadpool(embedded_files, job, store, settings)
    embeddings = files[EMBEDDINGS_FILE]
    place = embeddings.parent.parent / MAPS_FOLDER / f"{method}.parquet"
    made = await maps.map_of(embeddings, method, place)
    content = await run_in_threadpool(
        map_content, method, embeddings, made, settings.data_root, job.dataset
    )
    return Response(content, media_type=JSON)


def map_content(
    method: MapMethod, embeddings: Path, made: Path, data_root: Path, source: str | None
) -> bytes:
    """The answer as JSON; tens of thousands of windows are no list of Python's at any time."""
    mapped = pq.read_table(made)
    columns = colours(known_windows(data_root, source, mapped)) | colours(mapped)
    answer = {
        "method": method,
        "rows": pq.read_metadata(embeddings).num_rows,
        **{name: mapped[name].to_numpy() for name in PLACES},
        "columns": {name: column for name, column in columns.items() if name not in NO_COLOURS},
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def known_windows(data_root: Path, source: str | None, mapped: pa.Table) -> pa.Table:
    """What a dataset stores beside the mapped windows; of recordings nothing is stored."""
    try:
        folder = resolve_dataset(data_root, source or "")
        if is_dataset(folder):
            starts_s = mapped["start_s"].to_numpy()
            return windows_holding(open_dataset(folder), mapped["recording_id"], starts_s)
    except DatasetError:  # it is gone, or has changed; the map is still a map
        pass
    return pa.table({})


def colours(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Columns of numbers as they are, those of texts as groups; no others, and no empty ones."""
    return {
        name: described
        for name in table.column_names
        if table[name].null_count < len(table) and (described := colour(table[name]))
    }


def colour(column: "pa.ChunkedArray[Any]") -> dict[str, Any] | None:
    """One column: its numbers, or the names of its groups and which one each window is of."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return {"kind": "numbers", "values": column.to_numpy()}
    if not (pa.types.is_boolean(column.type) or pa.types.is_string(column.type)):
        return None
    texts = column.cast(pa.string())
    names = pa.array(sorted(pc.unique(texts.drop_null()).to_pylist()), pa.string())
    codes = pc.index_in(texts, names).fill_null(OF_NO_GROUP)
    return {"kind": "groups", "names": names.to_pylist(), "codes": codes.to_numpy()}
