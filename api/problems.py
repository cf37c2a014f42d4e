"""Every error as `application/problem+json` (RFC 9457), with a `code` that never changes.

    {"type": "about:blank", "title": "Not Found", "status": 404, "code": "job_not_found",
     "detail": "no job has the id 'job_1'; list the jobs to see their ids"}

Scripts match on `code`, people read `detail`. An error of our own making never shows its insides:
they go to the log.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from api.security_headers import add_security_headers
from ppgssl.errors import InputError, PpgsslError
from ppgssl.jobs.database import DATABASE_AWAY
from ppgssl.jobs.errors import (
    CheckpointNotFoundError,
    JobConflictError,
    JobNotFoundError,
    JobStateError,
    ModelNotFoundError,
    WebhookNotFoundError,
)
from ppgssl.jobs.kinds import JobKind

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
KINDS = frozenset(kind.value for kind in JobKind)

NOT_FOUND = (
    *(JobNotFoundError, CheckpointNotFoundError, ModelNotFoundError),
    WebhookNotFoundError,
)
NO_JSON_OBJECT = frozenset({"model_attributes_type", "dict_type"})

OF_THE_FRAMEWORK = {
    HTTPStatus.BAD_REQUEST: ("body_unreadable", "send JSON in UTF-8"),
    HTTPStatus.NOT_FOUND: ("route_not_found", "the routes are listed in /docs"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "the routes are listed in /docs"),
}
"""Code and remedy of errors that the framework raises; ours carry their own."""


class ProblemError(HTTPException):
    """An error of the HTTP layer itself; `extra` members stand beside the usual ones."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.extra = extra

    def response(self) -> JSONResponse:
        """What it is answered with."""
        return problem(self.status_code, self.code, self.detail, headers=self.headers, **self.extra)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    """The response that tells of one error."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **extra,
    }
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(PpgsslError, _on_ppgssl_error)
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _on_database_away)
    app.add_exception_handler(Exception, _on_bug)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, ProblemError):
        return error.response()
    status = HTTPStatus(error.status_code)
    code, remedy = OF_THE_FRAMEWORK.get(status, ("http_error", "see /docs"))
    detail = f"{request.method} {request.url.path}: {error.detail}; {remedy}"
    return problem(status, code, detail, headers=error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [_invalid_field(item) for item in error.errors()]
    first = error.errors()[0]
    if (
        first["type"] in NO_JSON_OBJECT
        and tuple(first["loc"]) == ("body",)
        and not _is_json(request)
    ):
        return problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            f"the body is {request.headers.get('content-type', 'of no type')!r}; "
            "send JSON with Content-Type: application/json",
        )
    detail = "; ".join(f"{item['path']}: {item['message']}" for item in errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "request_invalid", detail, errors=errors)


def invalid_request(error: ValidationError, part: str) -> RequestValidationError:
    """The same error as FastAPI raises it for a part of a request that it has checked itself."""
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    return RequestValidationError([{**item, "loc": (part, *item["loc"])} for item in errors])


def _is_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "")


def _invalid_field(item: Mapping[str, Any]) -> dict[str, str]:
    message = str(item["msg"]).removeprefix("Value error, ")
    return {"path": ".".join(_path(item)), "message": message}


def _path(item: Mapping[str, Any]) -> list[str]:
    """Where in the request the error is, as whoever wrote it would say."""
    parts = [str(part) for part in item["loc"]]
    if parts[1:2] and parts[1] in KINDS:  # pydantic's name for the kind's body, not a member
        del parts[1]
    if item["type"] == "union_tag_invalid":
        parts.append(str(item["ctx"]["discriminator"]).strip("'"))
    return parts


async def _on_ppgssl_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PpgsslError)
    extra: dict[str, Any] = {}
    if isinstance(error, JobStateError):
        extra["job_status"] = error.status.value
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(status, error.code, str(error), **extra)


def status_of(error: PpgsslError) -> HTTPStatus:
    """The status that says whose mistake it was, and of which kind."""
    if isinstance(error, NOT_FOUND):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, JobConflictError):
        return HTTPStatus.CONFLICT
    if isinstance(error, InputError):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.INTERNAL_SERVER_ERROR


async def _on_database_away(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s: the job table is away: %s", request.method, request.url.path, error)
    return database_unavailable()


def database_unavailable() -> JSONResponse:
    """The response while the database is away."""
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unavailable",
        "the job table cannot be reached at the moment; try again",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    answer = problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        f"{request.method} {request.url.path} failed for a reason of our own; the log says more",
    )
    add_security_headers(answer.headers, request.url.path)  # it passes no middleware on its way
    return answer
