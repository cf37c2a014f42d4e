"""Embeddings as an answer: JSON, raw float32, .npy or an Arrow stream.

A row is a window, or a segment of one. A refused window keeps its rows in raw and .npy, as NaN, so
that the others keep their places; in JSON and Arrow it has one row with its error.
"""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
from fastapi.responses import Response

from api.embedder import Answer, Embedded
from api.window_bodies import ARROW, JSON, NPY, RAW
from ppgssl.errors import WindowError
from ppgssl.inference.granularity import Granularity

KINDS = (JSON, RAW, NPY, ARROW)
"""Media types of answers, the first one where any will do."""

FAULTS_SHOWN = 5
"""In a detail or a header."""

Floats = npt.NDArray[np.float32]


def write(
    answer: Answer, kind: str, model: str, *, as_base64: bool = False, with_quality: bool = False
) -> Response:
    """The answer in the type asked for.

    Args:
        answer: What was found.
        kind: Media type.
        model: As it was asked for.
        as_base64: Of JSON: embeddings as base64 of float32 LE.
        with_quality: Of raw and .npy: the quality stands behind each embedding, as one more number.
    """
    headers = {
        "X-Model": model,
        "X-Encoder-Sha256": answer.encoder_sha256,
        "X-Embedding-Dim": str(answer.dim),
        **refusal_headers(answer),
    }
    if kind == JSON:
        content = json_answer(answer, model, as_base64=as_base64)
        return Response(
            orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY),
            headers=headers,
            media_type=JSON,
        )
    if kind == ARROW:
        return Response(arrow_answer(answer), headers=headers, media_type=ARROW)
    rows = matrix(answer, with_quality=with_quality)
    content = npy_bytes(rows) if kind == NPY else rows.tobytes()
    return Response(content, headers=headers, media_type=kind)


def faults_of(answer: Answer) -> dict[int, str]:
    """Why windows were refused, by their places."""
    return {i: w.fault for i, w in enumerate(answer.windows) if w.fault is not None}


def refusal_headers(answer: Answer) -> dict[str, str]:
    """How many windows were refused, and the first of them with their reasons, as JSON."""
    items = [error_item(index, fault) for index, fault in faults_of(answer).items()]
    shown = {"X-Refusals": json.dumps(items[:FAULTS_SHOWN])} if items else {}
    return {"X-Refused": str(len(items)), **shown}


def error_item(index: int, fault: str) -> dict[str, Any]:
    """What stands in place of an embedding."""
    return {"index": index, "error": {"code": WindowError.code, "message": fault}}


def json_answer(answer: Answer, model: str, *, as_base64: bool) -> dict[str, Any]:
    """Embeddings and faults in the windows' order."""
    return {
        "data": [
            item
            for index, window in enumerate(answer.windows)
            for item in _json_items(index, window, answer.granularity, as_base64=as_base64)
        ],
        "model": model,
        "encoder_sha256": answer.encoder_sha256,
        "dim": answer.dim,
    }


def _json_items(
    index: int, window: Embedded, granularity: Granularity, *, as_base64: bool
) -> Iterator[dict[str, Any]]:
    if window.rows is None:
        assert window.fault is not None
        yield error_item(index, window.fault)
        return
    for segment, start_s in enumerate(window.start_s.tolist()):
        vector = window.rows.embedding[segment].astype("<f4", copy=False)
        where = {"segment": segment, "start_s": start_s}
        yield {
            "index": index,
            **(where if granularity == Granularity.SEGMENT else {}),
            "embedding": (base64.b64encode(vector.tobytes()).decode() if as_base64 else vector),
            "quality": float(window.rows.quality[segment]),
        }


def matrix(answer: Answer, *, with_quality: bool) -> Floats:
    """All rows, one below the other; those of refused windows are NaN."""
    width = answer.dim + with_quality
    rows = [_rows_of(window, width) for window in answer.windows]
    return np.concatenate(rows).astype("<f4", copy=False)


def _rows_of(window: Embedded, width: int) -> Floats:
    if window.rows is None:
        return np.full((len(window.start_s), width), np.nan, dtype=np.float32)
    if width == window.rows.embedding.shape[1]:
        return window.rows.embedding
    return np.column_stack([window.rows.embedding, window.rows.quality])


def npy_bytes(rows: Floats) -> bytes:
    """An .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    return buffer.getvalue()


def arrow_answer(answer: Answer) -> bytes:
    """A stream with a row per window or segment, and null and the error for a refused window."""
    counts = [1 if w.rows is None else len(w.start_s) for w in answer.windows]
    refused = np.repeat([w.rows is None for w in answer.windows], counts)
    sound = [w for w in answer.windows if w.rows is not None]
    columns: dict[str, pa.Array[Any]] = {
        "index": pa.array(np.repeat(np.arange(len(counts)), counts)),
        **(_places(answer, refused) if answer.granularity == Granularity.SEGMENT else {}),
        "embedding": _vectors([w.rows.embedding for w in sound if w.rows], refused, answer.dim),
        "quality": _filled([w.rows.quality for w in sound if w.rows], refused, pa.float32()),
        "error": pa.array(
            [w.fault for w, n in zip(answer.windows, counts, strict=True) for _ in range(n)],
            pa.string(),
        ),
    }
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _places(answer: Answer, refused: npt.NDArray[np.bool_]) -> dict[str, "pa.Array[Any]"]:
    starts = [w.start_s for w in answer.windows if w.rows is not None]
    numbers = [np.arange(len(start_s)) for start_s in starts]
    return {
        "segment": _filled(numbers, refused, pa.int64()),
        "start_s": _filled(starts, refused, pa.float64()),
    }


def _filled(
    parts: list[npt.NDArray[Any]], refused: npt.NDArray[np.bool_], kind: pa.DataType
) -> "pa.Array[Any]":
    """The values of the rows that have some, and null for the others."""
    values = np.zeros(len(refused), kind.to_pandas_dtype())
    values[~refused] = np.concatenate([*parts, np.empty(0, values.dtype)])
    return pa.array(values, kind, mask=refused)


def _vectors(parts: list[Floats], refused: npt.NDArray[np.bool_], dim: int) -> "pa.Array[Any]":
    rows = np.zeros((len(refused), dim), np.float32)
    rows[~refused] = np.concatenate([*parts, np.empty((0, dim), np.float32)])
    return pa.FixedSizeListArray.from_arrays(
        pa.array(rows.ravel()), dim, mask=pa.array(refused, pa.bool_())
    )
