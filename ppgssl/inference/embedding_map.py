"""A map of embeddings: two coordinates a window, so that people see which windows lie together.

Of a large file an even choice of windows is mapped; memory holds those and one block of the rest.

Axes used in this file:
    N  mapped windows    D  width of the embedding
"""

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from ppgssl.errors import EmbeddingsError
from ppgssl.inference.embedding_file import BATCH_ROWS, DESCRIPTION, EmbeddingFile

LEAST_WINDOWS = 4  # with fewer there are no two directions to speak of
SEED = 0
METHOD_KEY = b"ppgssl.map_method"


class MapMethod(StrEnum):
    """How coordinates are found."""

    PCA = "pca"
    """The two directions in which the embeddings differ most; distances stay what they are."""
    UMAP = "umap"
    """Neighbours stay neighbours; distances between groups mean little. Needs the extra `umap`."""


WINDOWS_LIMIT = {MapMethod.PCA: 50_000, MapMethod.UMAP: 10_000}
"""Windows that are mapped: as many as a page draws smoothly, and UMAP places within a minute."""


@dataclass(frozen=True, slots=True)
class EmbeddingMap:
    """Mapped windows: their places in the file, and coordinates."""

    rows: Int[np.ndarray, " N"]
    places: Float[np.ndarray, "N 2"]


def map_embeddings(file: EmbeddingFile, method: MapMethod = MapMethod.PCA) -> EmbeddingMap:
    """Coordinates of the windows of a file that have an embedding, the same every time.

    Raises:
        EmbeddingsError: There are too few, or umap-learn is not installed.
    """
    rows, vectors = _chosen(file, WINDOWS_LIMIT[method])
    if len(rows) < LEAST_WINDOWS:
        raise EmbeddingsError(
            f"{file.path} has {len(rows)} windows with an embedding; a map needs {LEAST_WINDOWS}"
        )
    places = _by_umap(vectors) if method == MapMethod.UMAP else _by_pca(vectors)
    return EmbeddingMap(rows, places.astype(np.float64))


def write_map(found: EmbeddingMap, file: EmbeddingFile, method: MapMethod, out: Path) -> pa.Table:
    """Put a map down as Parquet: row, recording_id, start_s, quality, x and y. Returns the table.

    The file is there as a whole or not at all.
    """
    table = file.take(found.rows, DESCRIPTION)
    table = table.add_column(0, "row", pa.array(found.rows, pa.int64()))
    for axis, name in enumerate("xy"):
        table = table.append_column(name, pa.array(found.places[:, axis]))
    table = table.replace_schema_metadata({METHOD_KEY: method.encode()})
    fresh = out.with_name(f".{out.name}.new")
    pq.write_table(table, fresh)
    fresh.replace(out)
    return table


def _chosen(
    file: EmbeddingFile, limit: int
) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, "N D"]]:
    apart = -(-file.num_rows // limit)
    rows: list[np.ndarray] = [np.empty(0, np.int64)]
    vectors: list[np.ndarray] = [np.empty((0, file.width), np.float32)]
    for block in file.blocks(BATCH_ROWS):
        is_chosen = block.rows % apart == 0
        rows.append(block.rows[is_chosen])
        vectors.append(block.vectors[is_chosen])
    return np.concatenate(rows), np.concatenate(vectors)


def _by_pca(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N 2"]:
    from sklearn.decomposition import PCA

    return PCA(2, svd_solver="covariance_eigh").fit_transform(vectors.astype(np.float64))


def _by_umap(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N 2"]:
    try:
        umap: Any = import_module("umap")  # an extra, unknown to the type checker
    except ModuleNotFoundError as error:
        raise EmbeddingsError(
            "a map by UMAP needs umap-learn; pip install 'ppgssl[umap]', or take the method pca"
        ) from error
    neighbours = min(15, len(vectors) - 1)
    mapper: Any = umap.UMAP(n_neighbors=neighbours, metric="cosine", random_state=SEED, n_jobs=1)
    return mapper.fit_transform(vectors)
