"""What every answer tells a browser not to do with it.

Answers of the API may not be shown, framed, kept or guessed at; the dashboard may load its own
files and nothing else. Headers that a route has set itself stay.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = "Content-Security-Policy"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
OF_DATA = {CSP: NO_PAGE, "Cache-Control": "no-store"}
OF_FILES = {CSP: NO_PAGE}
"""Of what is the same for everybody: the dashboard's files, the routes' description."""

DATA = ("/v1", "/metrics", "/readyz", "/healthz")


def add_security_headers(headers: MutableHeaders, path: str) -> None:
    """Complete the headers of the answer to a request for `path`."""
    of_path = OF_DATA if path.startswith(DATA) else OF_FILES
    for name, value in (ALWAYS | of_path).items():
        headers.setdefault(name, value)


class SecurityHeadersMiddleware:
    """Complete the headers of every answer, whoever gave it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer with more headers."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_security_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, complete)
