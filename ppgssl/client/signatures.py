"""Makes a method of a function, for people and editors who ask for its signature."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def with_self(method: Method, function: Callable[..., Any]) -> Method:
    """The method, telling the function's signature with `self` before it."""
    signature = inspect.signature(function)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    shown = signature.replace(parameters=[itself, *signature.parameters.values()])
    method.__signature__ = shown  # pyright: ignore[reportFunctionMemberAccess]
    return method
