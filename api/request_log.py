"""One log line per answered request, and an id that ties it to what the client saw.

The line has no query string, headers or body: those can hold keys and people's signals.
"""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import KEY_ID
from api.metrics import route_of

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
ACCEPTED_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


class RequestLogMiddleware:
    """Log method, route, status and time; answer with the request's id, given or new."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log how it was answered."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = _request_id(Headers(scope=scope))
        status, began = 500, time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            answered = {
                "request_id": request_id,
                "method": scope["method"],
                "route": route_of(scope),
                "path": scope["path"],
                "status": status,
                "seconds": round(time.perf_counter() - began, 6),
                "key_id": scope.get(KEY_ID),
            }
            log.info("answered", extra=answered)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if ACCEPTED_ID.fullmatch(given) else secrets.token_hex(8)
