"""How every list is cut into pages: `limit` and `after` in, `data`, `has_more` and `next` out."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from api.problems import ProblemError

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=1000, description="Largest number of items in a page.")]
After = Annotated[
    str | None,
    Query(
        max_length=255,
        pattern=r"^[^\x00]*$",  # PostgreSQL stores no NUL
        description="Cursor: `next` of the page before; absent: the first page.",
    ),
]


class PageRead(BaseModel, Generic[Item]):
    """One page of a list."""

    data: list[Item]
    has_more: bool
    next: str | None
    """Cursor of the following page; null on the last one."""


def page_of(data: Sequence[Item], *, has_more: bool, cursor: str | None) -> PageRead[Item]:
    """A page; the cursor is that of its last item."""
    return PageRead(data=list(data), has_more=has_more, next=cursor if has_more else None)


def invalid_cursor(after: str | None) -> ProblemError:
    """The error of a cursor that this list never gave out."""
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "cursor_invalid",
        f"after: {after!r} is no cursor of this list; use `next` of the page before",
    )
