"""What every request passes before a route sees it: its origin, room for it, its body's size.

Pure ASGI, so that a refused body is never read and a streamed answer is never buffered.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import EMBEDDINGS, SAFE_METHODS
from api.embedding_room import EmbeddingRoom
from api.problems import ProblemError, problem


class SameOriginMiddleware:
    """Refuse changes that another website makes in a visitor's browser.

    A browser names the page that sends a request in `Origin`; programs send none.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and origin.partition("://")[2] != headers.get("host"):
                refusal = problem(
                    HTTPStatus.FORBIDDEN,
                    "cross_origin",
                    f"a page of {origin} may not change anything here; call the API from a program",
                )
                return await refusal(scope, receive, send)
        await self._app(scope, receive, send)


class RoomMiddleware:
    """Refuse embedding requests that would wait too long, before anything is looked up for them.

    A service that is asked for much more than it can do answers most requests here: each of them
    takes time from an embedding.

    Args:
        app: What comes next.
        endpoint: Of the embeddings, under whose name refusals are counted.
    """

    def __init__(self, app: ASGIApp, *, endpoint: Callable[..., Any]) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", EMBEDDINGS):
            room: EmbeddingRoom = scope["app"].state.services.embedder.room
            try:
                room.check_wait()
            except ProblemError as error:
                scope["endpoint"] = self._endpoint
                return await error.response()(scope, receive, send)
        await self._app(scope, receive, send)


class BodyLimitMiddleware:
    """Refuse bodies above a size: by `Content-Length` before a byte is read, else while reading.

    The connection stays open: closed while a body is on its way, it would take the answer along.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted, or answer 413."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            refusal = self._too_large(f"{declared} bytes").response()
            return await refusal(scope, receive, send)
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large("larger than that")
            return message

        await self._app(scope, count, send)

    def _too_large(self, size: str) -> ProblemError:
        return ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"a body may have {self._max_bytes} bytes, this one is {size}; send fewer windows at a "
            "time, or raise PPGSSL_MAX_BODY_BYTES",
            limit_bytes=self._max_bytes,
        )
