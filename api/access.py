"""Who may ask for what, and how often. Pure ASGI: a refused body is never read.

    read     look (GET), and embed
    submit   also create, clone, cancel, pause and resume jobs
    admin    everything else: aliases, deleting jobs, webhooks, and whatever a later route does

Health, figures and the dashboard's files need no key: they hold nothing of anybody's. A service
that never had a key is open to the machine it runs on, and to nobody else.
"""

import ipaddress
import math
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.key_ring import Bearer, KeyRing, KeysUnknownError
from api.problems import database_unavailable, problem
from api.rate_limit import RateLimiter
from ppgssl.jobs.roles import Role
from ppgssl.jobs.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
GUARDED = "/v1"
JOBS = f"{GUARDED}/jobs"
EMBEDDINGS = f"{GUARDED}/embeddings"
WEBHOOKS = f"{GUARDED}/webhooks"
UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
KEY_ID = "ppgssl.key_id"
"""Where the scope holds the id of the key that a request carries, for the log."""


def needed_role(method: str, path: str) -> Role:
    """The least role that a request needs; what is not known here needs the most."""
    path = path.rstrip("/")
    if path == WEBHOOKS or path.startswith(f"{WEBHOOKS}/"):  # a URL may hold a secret
        return Role.ADMIN
    if method in SAFE_METHODS or (method, path) == ("POST", EMBEDDINGS):
        return Role.READ
    if method == "POST" and (path == JOBS or path.startswith(f"{JOBS}/")):
        return Role.SUBMIT
    return Role.ADMIN


def may_be_open(settings: Settings) -> bool:
    """Whether the service may run without a key: nobody else reaches it, or it was allowed."""
    reached_at = settings.published_address or settings.host
    return settings.allow_open_access or is_loopback(reached_at)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own_name(host: str) -> bool:
    """Whether a `Host` header names this machine in a way that no website can.

    A website can let its own name point at 127.0.0.1; its page then reads a service there as if
    it were the website's (DNS rebinding). It cannot do so with an address, or a name without dots.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return "." not in name or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class AccessMiddleware:
    """Refuse requests that come too fast (429), and under /v1 those without the key they need.

    Reads the keys from the `key_ring` in the application's state.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._may_be_open = may_be_open(settings)
        self._checks_host = not settings.allow_open_access
        self._limiter = RateLimiter(settings.rate_limit_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 403, 429, or 503 while no key can be looked up."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            return await self._app(scope, receive, send)
        if not _is_guarded(scope["path"]):
            answer = self._too_fast(_address(scope)) or self._app
            return await answer(scope, receive, send)
        ring: KeyRing = scope["app"].state.key_ring
        try:
            bearer = await ring.find(given_key(Headers(scope=scope)))
            is_open = self._may_be_open and await ring.is_empty()
        except KeysUnknownError:
            return await database_unavailable()(scope, receive, send)
        scope[KEY_ID] = bearer.key_id if bearer else None
        refusal = self._refusal(scope, bearer, is_open=is_open)
        if refusal is not None:
            return await refusal(scope, receive, send)
        await self._app(scope, receive, send)
        if bearer is not None:
            await ring.note_use(bearer)

    def _refusal(
        self, scope: Scope, bearer: Bearer | None, *, is_open: bool
    ) -> JSONResponse | None:
        too_fast = self._too_fast(bearer.key_id if bearer else _address(scope))
        if too_fast is not None:
            return too_fast
        return self._bad_host(scope) if is_open else _without_right(bearer, scope)

    def _too_fast(self, who: str) -> JSONResponse | None:
        wait_s = math.ceil(self._limiter.take(who))
        if wait_s == 0:
            return None
        limit = self._limiter.per_minute
        return problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "rate_limited",
            f"{who} may send {limit} requests a minute and has; wait {wait_s} s, put more windows "
            "into a request, or raise PPGSSL_RATE_LIMIT_PER_MINUTE",
            headers={"Retry-After": str(wait_s)},
            limit_per_minute=limit,
        )

    def _bad_host(self, scope: Scope) -> JSONResponse | None:
        host = Headers(scope=scope).get("host", "")
        if not self._checks_host or is_own_name(host):
            return None
        return problem(
            HTTPStatus.FORBIDDEN,
            "host_not_allowed",
            f"a service without a key answers to addresses and localhost only, not to {host!r}; "
            "use 127.0.0.1, or make a key with `ppgssl keys create`",
        )


def _is_guarded(path: str) -> bool:
    return path == GUARDED or path.startswith(f"{GUARDED}/")


def _address(scope: Scope) -> str:
    host = scope["client"][0] if scope.get("client") else "unknown"
    return f"address {host}"


def given_key(headers: Headers) -> str:
    """The key that a request carries, or nothing."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _without_right(bearer: Bearer | None, scope: Scope) -> JSONResponse | None:
    if bearer is None:
        return problem(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "this service needs its key, and none was sent that opens it: send Authorization: "
            "Bearer KEY, or X-API-Key: KEY (`ppgssl jobs` sends PPGSSL_API_KEY); "
            "`ppgssl keys create` makes one",
            headers={"WWW-Authenticate": "Bearer"},
        )
    needed = needed_role(scope["method"], scope["path"])
    if bearer.role.covers(needed):
        return None
    return problem(
        HTTPStatus.FORBIDDEN,
        "role_too_weak",
        f"{scope['method']} {scope['path']} needs a key of the role {needed.value!r}, this one is "
        f"of the role {bearer.role.value!r}; `ppgssl keys create --role {needed.value}` makes one",
        role=bearer.role.value,
        needed_role=needed.value,
    )
