"""Embeddings of windows: JSON, raw float32, .npy or Arrow in, any of them out."""

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect

from api.dependencies import EmbedderDep, Services
from api.embedder import Answer, Windows
from api.embedding_answers import FAULTS_SHOWN, KINDS, error_item, faults_of, write
from api.embedding_room import Place
from api.encoders import DEFAULT_MODEL
from api.negotiation import negotiate
from api.problems import ProblemError, invalid_request
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
from ppgssl.inference.granularity import Granularity

MAX_WINDOWS = 100_000
CLIENT_LEFT = 499
"""Nobody reads it; it is for the log and the metrics (nginx's number)."""

Made = TypeVar("Made")

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


class EmbeddingQuery(BaseModel):
    """What may stand behind the `?`."""

    model: str = Field(default=DEFAULT_MODEL, description="Alias, job id or default.")
    fs_hz: Annotated[Rate | None, Field(description="Rate, Hz; absent: the encoder's own.")] = None
    granularity: Granularity = Field(
        default=Granularity.WINDOW, description="An embedding per window, or per segment of it."
    )
    windows: int = Field(
        default=1, ge=1, le=MAX_WINDOWS, description="Of a raw float32 body: how many it holds."
    )
    quality: bool = Field(
        default=False, description="Raw and .npy answers: each row ends with its quality."
    )


class EmbeddingRoute(APIRoute):
    """Calls the endpoint with its query and the embedder, without looking for what it depends on.

    FastAPI's search for that takes a third of the time that a request of ten seconds of PPG costs
    beside its embedding; the endpoint's signature goes on to describe it in the documentation.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, given what its signature asks for."""

        async def handle(request: Request) -> Response:
            services: Services = request.app.state.services
            return await create_embeddings(request, services.embedder, read_query(request))

        return handle


router = APIRouter(tags=["embeddings"], route_class=EmbeddingRoute)


@router.post(
    "/embeddings",
    responses=NOT_FOUND | _RESPONSES,
    response_class=Response,
    openapi_extra=_REQUEST_BODY,
)
async def create_embeddings(
    request: Request, embedder: EmbedderDep, query: Annotated[EmbeddingQuery, Query()]
) -> Response:
    """Embed windows of any length and rate; a window that cannot be embedded fails no other.

    In JSON and Arrow it has an `error` in place of its embedding, in raw float32 and .npy its rows
    are NaN, and the headers `X-Refused` and `X-Refusals` say how many there are and why. Where no
    window can be embedded the answer is 422. What a JSON body names wins over the query.
    """
    answer_type = negotiate(request.headers.get("accept", "*/*"), KINDS)
    body_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    model, fs_hz, granularity = query.model, query.fs_hz, query.granularity
    as_base64 = False
    with embedder.room.place() as place:
        try:
            body = await read_body(request, place)
            if body_type == JSON:
                asked = await embedder.aside(read_json, body)
                model = model if asked.model is None else asked.model
                fs_hz, granularity = asked.fs_hz or fs_hz, asked.granularity or granularity
                as_base64 = asked.encoding_format == "base64"
                given: Windows = await embedder.aside(windows_of_input, asked.input)
            elif body_type == RAW:
                given = read_raw(body, query.windows)  # a view
            else:
                given = await embedder.aside(read_file, body, body_type)
            answer = await unless_left(request, embedder.embed(model, given, fs_hz, granularity))
        except ClientDisconnect:
            return Response(status_code=CLIENT_LEFT)
        return await embedder.wherever_sooner(
            answer.given,
            respond,
            *(answer, answer_type, model),
            as_base64=as_base64,
            with_quality=query.quality,
        )


def read_query(request: Request) -> EmbeddingQuery:
    """What stands behind the `?`.

    Raises:
        RequestValidationError: It cannot.
    """
    try:
        return EmbeddingQuery.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise invalid_request(error, "query") from error


async def read_body(request: Request, place: Place) -> bytearray:
    """The body, in one piece of memory that its bytes are copied to once.

    Raises:
        ClientDisconnect: The client left before its end.
        ProblemError: 429, there is no memory for it; 413, it is too large.
    """
    declared = request.headers.get("content-length", "")
    body = bytearray(int(declared) if declared.isdecimal() else 0)
    received = 0
    async for chunk in request.stream():
        place.add(len(chunk))
        body[received : received + len(chunk)] = chunk
        received += len(chunk)
    return body


async def unless_left(request: Request, work: Coroutine[Any, Any, Made]) -> Made:
    """The result of some work, which is dropped when the client hangs up.

    Raises:
        ClientDisconnect: It did.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_client_leaves(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def read_file(body: bytearray, body_type: str) -> Windows:
    """The windows of a body that says itself what it holds.

    Raises:
        ProblemError: 415, it is of another type; 422, it is not what its type says.
    """
    if body_type == NPY:
        return read_npy(body)
    if body_type == ARROW:
        return read_arrow(body)
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        f"the body is {body_type or 'of no type'!r}; expected {', '.join(KINDS)}",
    )


def respond(
    answer: Answer, kind: str, model: str, *, as_base64: bool, with_quality: bool
) -> Response:
    """The answer in the type asked for.

    Raises:
        ProblemError: 422, no window can be embedded.
    """
    refuse_if_all_faulty(answer)
    return write(answer, kind, model, as_base64=as_base64, with_quality=with_quality)


def refuse_if_all_faulty(answer: Answer) -> None:
    """Fail where there is nothing to answer.

    Raises:
        ProblemError: 422, with the index and fault of each window.
    """
    faults = faults_of(answer)
    if len(faults) < len(answer.windows):
        return
    named = [f"window {index}: {fault}" for index, fault in faults.items()]
    more = f"; and {len(named) - FAULTS_SHOWN} more" if len(named) > FAULTS_SHOWN else ""
    raise ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        WindowError.code,
        "; ".join(named[:FAULTS_SHOWN]) + more,
        errors=[error_item(index, fault) for index, fault in faults.items()],
    )
