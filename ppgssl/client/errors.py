"""What a request to the service can fail with, and who is at fault.

ServiceError                        the service could not be reached, or failed
└── ProblemError                    it answered with a problem: title, detail, code, status
    └── RefusedError (InputError)   the request is at fault (4xx)
"""

from collections.abc import Mapping
from typing import Any

import httpx

from ppgssl.errors import InputError, ServiceError

LONGEST_QUOTE = 100  # characters of a text that is no problem of ours


class ProblemError(ServiceError):
    """The service answered with an error.

    Attributes:
        status: HTTP status.
        title: What the status means.
        detail: What was wrong, and how to mend it.
        code: Stable name of the error.
        members: The whole problem, also what is particular to this error.
    """

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        self.status = status
        self.members = dict(members)
        self.title = str(members.get("title", f"HTTP {status}"))
        self.detail = str(members.get("detail", "the service gave no reason"))
        # of this answer, not of the class
        self.code = str(members.get("code", ServiceError.code))  # pyright: ignore[reportAttributeAccessIssue]
        super().__init__(f"{self.title}: {self.detail} ({self.code})")


class RefusedError(ProblemError, InputError):
    """The request is at fault."""


class DamagedError(Exception):
    """What arrived is not what was announced; another try may help."""


def raise_for_problem(answer: httpx.Response) -> None:
    """Raise what an answer tells of, whose content has been read.

    Raises:
        ProblemError: It tells of an error.
    """
    if answer.is_success:
        return
    try:
        members = answer.json()
    except ValueError:
        members = {"detail": _what_it_says_instead(answer)}
    kind = RefusedError if answer.is_client_error else ProblemError
    raise kind(answer.status_code, members if isinstance(members, dict) else {})


def _what_it_says_instead(answer: httpx.Response) -> str:
    text = " ".join(answer.text.split())
    said = "in HTML" if text.startswith("<") else repr(text[:LONGEST_QUOTE]) if text else "nothing"
    return (
        f"{answer.url} answered {said}, not as ppgssl does; is another server, or a proxy, there?"
    )


def no_json_error(answer: httpx.Response) -> ServiceError:
    """The error of an answer that another service gave."""
    return ServiceError(f"{answer.url} does not answer as ppgssl does; is another service there?")
