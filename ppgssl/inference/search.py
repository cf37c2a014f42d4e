"""The nearest windows in a file of embeddings, exactly, whatever its size.

The file is read once, a block at a time; memory holds one block and the best found so far. The
distances are those of float64, so that near windows are told apart.

Axes used in this file:
    Q  windows asked about      D  width of the embedding
    N  windows of one block     K  nearest ones, at most as many as were asked for
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int

from ppgssl.errors import EmbeddingsError
from ppgssl.inference.embedding_file import DESCRIPTION, EmbeddingFile
from ppgssl.inference.search_metric import Metric
from ppgssl.inference.search_queries import Queries

BLOCK_ROWS = 8192
"""With 512 numbers a row, 32 MB in float64."""
BLOCK_DISTANCES = 4_000_000
"""32 MB: where many windows are asked about, blocks are smaller."""

NONE = -1
"""Stands for a row where there are fewer than were asked for."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A window near one that was asked about.

    Attributes:
        row: Its place in the file.
        recording_id: Its recording.
        start_s: Where in it the window begins, seconds.
        distance: By the metric asked for.
        quality: Of its signal, from 0 to 1.
    """

    row: int
    recording_id: str
    start_s: float
    distance: float
    quality: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest rows of each window asked about, nearest first; `NONE` at infinity fills up."""

    rows: Int[np.ndarray, "Q K"]
    distances: Float[np.ndarray, "Q K"]


def find_nearest(
    file: EmbeddingFile,
    queries: Queries,
    k: int = 10,
    *,
    metric: Metric = Metric.COSINE,
    exclude_same_recording: bool = False,
) -> list[list[Neighbour]]:
    """The nearest windows to each one asked about, nearest first; never that window itself.

    There are fewer than `k` where the file has no more.

    Args:
        file: Where to look.
        queries: Windows asked about, of this file or another.
        k: How many to find for each.
        metric: What near means.
        exclude_same_recording: Leave out the recording that the window is from, whose windows are
            often near for no other reason.

    Raises:
        EmbeddingsError: `k` is below 1, or the embeddings cannot be compared.
    """
    wanted = check_request(file, queries, k)
    best = find_nearest_rows(file, queries, wanted, metric, exclude_same_recording)
    return describe(file, best)


def find_nearest_rows(
    file: EmbeddingFile,
    queries: Queries,
    k: int,
    metric: Metric,
    exclude_same_recording: bool = False,
) -> Nearest:
    """The same as rows and distances, for a request that was checked."""
    size = max(1, min(BLOCK_ROWS, BLOCK_DISTANCES // len(queries)))
    asked = _prepare(queries.vectors, metric)
    best = Nearest(np.full((len(queries), k), NONE), np.full((len(queries), k), np.inf))
    for block in file.blocks(size):
        distances = _distances(asked, _prepare(block.vectors, metric), metric)
        excluded = is_excluded(
            file, queries, block.rows, block.recording_ids, same_recording=exclude_same_recording
        )
        distances[excluded] = np.inf
        best = _best_of(best, block.rows, distances)
    return best


def check_request(file: EmbeddingFile, queries: Queries, k: int) -> int:
    """Refuse what cannot be answered; the number of windows to look for, at most all.

    Raises:
        EmbeddingsError: `k` is below 1, or the embeddings cannot be compared.
    """
    if k < 1:
        raise EmbeddingsError(f"expected to look for at least 1 window, got {k}")
    if queries.file is None:
        file.check_origin(queries.vectors.shape[1], None, whose="what was asked about")
    else:
        file.check_comparable(queries.file)
    return min(k, max(1, file.num_rows))


def is_excluded(
    file: EmbeddingFile,
    queries: Queries,
    rows: Int[np.ndarray, "..."],
    recording_ids: npt.NDArray[np.object_],
    *,
    same_recording: bool,
) -> Bool[np.ndarray, "Q N"]:
    """Which rows a window is not to find: itself, and where so asked those of its recording."""
    excluded = np.zeros((len(queries), rows.shape[-1]), bool)
    if queries.file is not None and file.path.samefile(queries.file.path):
        excluded |= rows == queries.rows[:, None]
    if same_recording:
        excluded |= recording_ids == queries.recording_ids[:, None]
    return excluded


def describe(file: EmbeddingFile, nearest: Nearest) -> list[list[Neighbour]]:
    """What was found, in people's words."""
    is_found = np.isfinite(nearest.distances)
    table = file.take(nearest.rows[is_found], DESCRIPTION)
    columns = (table[name].to_pylist() for name in DESCRIPTION)
    told = zip(
        nearest.rows[is_found].tolist(), nearest.distances[is_found].tolist(), *columns, strict=True
    )
    neighbours = (
        Neighbour(row, recording_id, start_s, distance, quality)
        for row, distance, recording_id, start_s, quality in told
    )
    return [list(islice(neighbours, count)) for count in is_found.sum(axis=1).tolist()]


def _prepare(vectors: Float[np.ndarray, "N D"], metric: Metric) -> Float[np.ndarray, "N D"]:
    precise = vectors.astype(np.float64)
    return unit_length(precise) if metric == Metric.COSINE else precise


def unit_length(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Each divided by its length; one of zeros stays as it is, at a right angle to all."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _distances(
    asked: Float[np.ndarray, "Q D"], others: Float[np.ndarray, "N D"], metric: Metric
) -> Float[np.ndarray, "Q N"]:
    products = asked @ others.T
    if metric == Metric.COSINE:
        return np.clip(1 - products, 0, 2)
    squares = (asked**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.sqrt(np.maximum(squares - 2 * products, 0))


def _best_of(
    best: Nearest, rows: Int[np.ndarray, " N"], distances: Float[np.ndarray, "Q N"]
) -> Nearest:
    """The nearest of those found before and those of one block."""
    k = best.rows.shape[1]
    all_rows = np.concatenate([best.rows, np.broadcast_to(rows, distances.shape)], axis=1)
    all_distances = np.concatenate([best.distances, distances], axis=1)
    near = np.argpartition(all_distances, k - 1, axis=1)[:, :k]
    return in_order(
        np.take_along_axis(all_rows, near, axis=1), np.take_along_axis(all_distances, near, axis=1)
    )


def in_order(rows: Int[np.ndarray, "Q K"], distances: Float[np.ndarray, "Q K"]) -> Nearest:
    """By distance, and by place where distances are equal."""
    order = np.lexsort((rows, distances))
    return Nearest(
        np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
    )
