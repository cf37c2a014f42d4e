"""The type of an answer, as an `Accept` header asks for it."""

from collections.abc import Sequence
from http import HTTPStatus

from api.problems import ProblemError


def negotiate(accept: str, answers: Sequence[str]) -> str:
    """The type of `answers` that an `Accept` header prefers; the first one where any will do.

    Raises:
        ProblemError: 406, none of them.
    """
    for wanted in by_preference(accept):
        for answer in answers:
            if wanted in ("*/*", answer, f"{answer.partition('/')[0]}/*"):
                return answer
    raise ProblemError(
        HTTPStatus.NOT_ACCEPTABLE,
        "not_acceptable",
        f"Accept: {accept!r} asks for nothing that can be sent: {', '.join(answers)}",
    )


def by_preference(accept: str) -> list[str]:
    """The types in an `Accept` header, the most wanted first, refused ones left out."""
    weighed: list[tuple[float, str]] = []
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [piece.removeprefix("q=") for piece in parameters if piece.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            weight = 1.0
        if kind and weight > 0:
            weighed.append((weight, kind))
    return [kind for _, kind in sorted(weighed, key=lambda item: -item[0])]
