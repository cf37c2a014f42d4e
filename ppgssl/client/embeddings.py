"""Windows to an Arrow stream, and Arrow streams of several answers to embeddings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ppgssl.client.errors import RefusedError, raise_for_problem
from ppgssl.client.records import Embeddings, Floats, SegmentEmbeddings
from ppgssl.errors import WindowError


@dataclass(frozen=True, slots=True)
class EmbeddedPart:
    """What became of the windows of one request.

    Attributes:
        num_windows: Of the request.
        table: The rows of those that were embedded; None where that is none.
        faults: Why the others were refused, by their places.
        error: What the service said where it refused all.
    """

    num_windows: int
    table: pa.Table | None
    faults: dict[int, str]
    error: RefusedError | None = None


def arrow_of(rows: Sequence[Floats]) -> bytes:
    """An Arrow stream with a list column `signal`."""
    ends = pa.array(np.cumsum([0, *(len(row) for row in rows)]), type=pa.int32())
    table = pa.table({"signal": pa.ListArray.from_arrays(ends, pa.array(np.concatenate(rows)))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def read_part(answer: httpx.Response, num_windows: int) -> EmbeddedPart:
    """What an answer tells of its windows.

    Raises:
        ProblemError: It tells of another error than that no window can be embedded.
    """
    try:
        raise_for_problem(answer)
    except RefusedError as error:
        if error.code != WindowError.code:
            raise
        faults = {item["index"]: item["error"]["message"] for item in error.members["errors"]}
        return EmbeddedPart(num_windows, None, faults, error)
    table = pa.ipc.open_stream(answer.content).read_all().combine_chunks()
    is_sound = table["embedding"].is_valid()
    refused = table.filter(pc.invert(is_sound))
    reasons: list[dict[str, Any]] = refused.select(["index", "error"]).to_pylist()
    faults = {reason["index"]: reason["error"] for reason in reasons}
    return EmbeddedPart(num_windows, table.filter(is_sound), faults)


def join_windows(parts: Sequence[EmbeddedPart]) -> Embeddings:
    """A row per window, NaN for those that were refused.

    Raises:
        RefusedError: All were.
    """
    rows = join_segments(parts)
    num_windows = sum(part.num_windows for part in parts)
    embedding = np.full((num_windows, rows.embedding.shape[1]), np.nan, np.float32)
    quality = np.full(num_windows, np.nan, np.float32)
    embedding[rows.index], quality[rows.index] = rows.embedding, rows.quality
    return Embeddings(embedding, quality, rows.faults)


def join_segments(parts: Sequence[EmbeddedPart]) -> SegmentEmbeddings:
    """The rows of all windows that were embedded.

    Raises:
        RefusedError: None was.
    """
    errors = [part.error for part in parts if part.error is not None]
    if errors and len(errors) == len(parts):
        raise errors[0]
    tables = [(first, part.table) for first, part in _placed(parts) if part.table is not None]
    return SegmentEmbeddings(
        _joined([first + _column(table, "index", np.int64) for first, table in tables], np.int64),
        _joined([_column(table, "start_s", np.float64) for _, table in tables], np.float64),
        _joined_vectors([_vectors(table) for _, table in tables]),
        _joined([_column(table, "quality", np.float32) for _, table in tables], np.float32),
        {
            first + index: why
            for first, part in _placed(parts)
            for index, why in part.faults.items()
        },
    )


def _placed(parts: Sequence[EmbeddedPart]) -> Iterator[tuple[int, EmbeddedPart]]:
    """Each part with the place of its first window among all."""
    first = 0
    for part in parts:
        yield first, part
        first += part.num_windows


def _column(table: pa.Table, name: str, kind: type[np.generic]) -> npt.NDArray[Any]:
    if name not in table.column_names:  # windows have no starts
        return np.zeros(len(table), kind)
    return table[name].to_numpy().astype(kind, copy=False)


def _vectors(table: pa.Table) -> Floats:
    return pc.list_flatten(table["embedding"]).to_numpy().reshape(len(table), -1)


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *arrays])


def _joined_vectors(arrays: Sequence[Floats]) -> Floats:
    return np.concatenate(arrays) if arrays else np.empty((0, 0), np.float32)
