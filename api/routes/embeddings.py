"""Embeddings of windows: JSON, raw float32, .npy or Arrow in, any of them out."""

import base64
import io
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from api.dependencies import EmbedderDep
from api.embedder import Answer, Embedded, Window
from api.encoders import DEFAULT_MODEL
from api.negotiation import negotiate
from api.problems import ProblemError
from api.routes.jobs import NOT_FOUND
from api.schemas import EmbeddingsRead, ProblemRead
from api.window_bodies import (
    ARROW,
    JSON,
    NPY,
    RAW,
    EmbeddingBody,
    Rate,
    read_arrow,
    read_json,
    read_npy,
    read_raw,
    windows_of_input,
)
from ppgssl.errors import WindowError

router = APIRouter(tags=["embeddings"])

ANSWERS = (JSON, RAW, NPY, ARROW)
MAX_WINDOWS = 100_000
FAULTS_SHOWN = 5

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": EmbeddingBody.model_json_schema()},
            **{kind: _BINARY for kind in (RAW, NPY, ARROW)},
        },
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": EmbeddingsRead, "content": {kind: _BINARY for kind in (RAW, NPY, ARROW)}},
    406: {"model": ProblemRead},
    413: {"model": ProblemRead},
    415: {"model": ProblemRead},
}


@router.post(
    "/embeddings",
    responses=NOT_FOUND | _RESPONSES,
    response_class=Response,
    openapi_extra=_REQUEST_BODY,
)
async def create_embeddings(
    request: Request,
    embedder: EmbedderDep,
    model: Annotated[str, Query(description="Binary bodies: alias, job id or default.")] = (
        DEFAULT_MODEL
    ),
    fs_hz: Annotated[
        Rate | None, Query(description="Binary bodies: rate, Hz; absent: the encoder's own.")
    ] = None,
    windows: Annotated[
        int, Query(ge=1, le=MAX_WINDOWS, description="Raw float32: number of windows.")
    ] = 1,
) -> Response:
    """Embed windows of any length and rate.

    In a JSON answer a window that cannot be embedded has an `error` in place of its embedding; the
    others have theirs. A binary answer has no place for errors: there one such window fails all.
    """
    answer_type = negotiate(request.headers.get("accept", "*/*"), ANSWERS)
    body_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    encoding = "float"
    if body_type == JSON:
        asked = await run_in_threadpool(read_json, body)
        model, fs_hz, encoding = asked.model, asked.fs_hz, asked.encoding_format
        given = await run_in_threadpool(windows_of_input, asked.input)
    else:
        given = await run_in_threadpool(read_binary, body, body_type, windows)
    answer = await embedder.embed(model, given, fs_hz)
    refuse_faulty(answer.windows, all_or_nothing=answer_type != JSON)
    return await run_in_threadpool(write, answer, answer_type, model, encoding)


def read_binary(body: bytes, body_type: str, windows: int) -> list[Window]:
    """The windows of a body that is not JSON.

    Raises:
        ProblemError: 415, it is of another type; 422, it is not what its type says.
    """
    if body_type == RAW:
        return read_raw(body, windows)
    if body_type == NPY:
        return read_npy(body)
    if body_type == ARROW:
        return read_arrow(body)
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        f"the body is {body_type or 'of no type'!r}; expected {', '.join(ANSWERS)}",
    )


def refuse_faulty(windows: Sequence[Embedded], *, all_or_nothing: bool) -> None:
    """Fail where there is nothing to answer, or no place to say what is missing.

    Raises:
        ProblemError: 422, with the index and fault of each window.
    """
    faults = {index: w.fault for index, w in enumerate(windows) if w.fault is not None}
    if not faults or (len(faults) < len(windows) and not all_or_nothing):
        return
    named = [f"window {index}: {fault}" for index, fault in faults.items()]
    more = f"; and {len(named) - FAULTS_SHOWN} more" if len(named) > FAULTS_SHOWN else ""
    raise ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        WindowError.code,
        "; ".join(named[:FAULTS_SHOWN]) + more,
        errors=[error_item(index, fault) for index, fault in faults.items()],
    )


def error_item(index: int, fault: str) -> dict[str, Any]:
    """What stands in place of an embedding."""
    return {"index": index, "error": {"code": WindowError.code, "message": fault}}


def write(answer: Answer, kind: str, model: str, encoding: str) -> Response:
    """The answer in the type asked for."""
    headers = {
        "X-Model": model,
        "X-Encoder-Sha256": answer.encoder_sha256,
        "X-Embedding-Dim": str(answer.dim),
    }
    if kind == JSON:
        return JSONResponse(json_answer(answer, model, encoding), headers=headers)
    return Response(_WRITERS[kind](answer.windows), headers=headers, media_type=kind)


def json_answer(answer: Answer, model: str, encoding: str) -> dict[str, Any]:
    """Embeddings and faults in the windows' order."""
    return {
        "data": [json_item(i, w, encoding) for i, w in enumerate(answer.windows)],
        "model": model,
        "encoder_sha256": answer.encoder_sha256,
        "dim": answer.dim,
    }


def json_item(index: int, window: Embedded, encoding: str) -> dict[str, Any]:
    """One window's embedding, or its error."""
    if window.embedding is None:
        assert window.fault is not None
        return error_item(index, window.fault)
    embedding = window.embedding.astype("<f4", copy=False)
    return {
        "index": index,
        "embedding": (
            base64.b64encode(embedding.tobytes()).decode()
            if encoding == "base64"
            else embedding.tolist()
        ),
        "quality": window.quality,
    }


def _matrix(windows: Sequence[Embedded]) -> "np.ndarray[Any, np.dtype[np.float32]]":
    return np.stack([w.embedding for w in windows if w.embedding is not None]).astype("<f4")


def _write_raw(windows: Sequence[Embedded]) -> bytes:
    return _matrix(windows).tobytes()


def _write_npy(windows: Sequence[Embedded]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, _matrix(windows), allow_pickle=False)
    return buffer.getvalue()


def _write_arrow(windows: Sequence[Embedded]) -> bytes:
    matrix = _matrix(windows)
    columns: Mapping[str, pa.Array[Any]] = {
        "index": pa.array(range(len(windows)), pa.int64()),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1]),
        "quality": pa.array([window.quality for window in windows], pa.float32()),
    }
    table = pa.table(dict(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


_WRITERS = {RAW: _write_raw, NPY: _write_npy, ARROW: _write_arrow}
