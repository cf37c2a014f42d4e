"""What every command shares: progress to stderr, results to stdout, errors to exit codes."""

import json
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from ppgssl.errors import InputError, PpgsslError

console_err = Console(stderr=True, highlight=False)
console_out = Console(highlight=False, soft_wrap=True)

FILE_WIDTH = 200  # characters; no screen limits what goes into a file or a pipe

EXIT_FAILURE = 1
EXIT_USAGE = 2


def print_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_table(table: Table) -> None:
    """Write a table to stdout, as wide as the screen that shows it."""
    console_out.print(table, width=None if console_out.is_terminal else FILE_WIDTH)


@contextmanager
def exit_codes() -> Generator[None]:
    """Turn ppgssl's errors into one line on stderr and the exit code that the contract names."""
    try:
        yield
    except PpgsslError as error:
        console_err.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
        raise typer.Exit(EXIT_USAGE if isinstance(error, InputError) else EXIT_FAILURE) from error
    except KeyboardInterrupt:
        console_err.print("interrupted")
        raise typer.Exit(130) from None


class Rate:
    """How many a second, since the first count: what an earlier run did is none of this one's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def per_second(self, count: int) -> float:
        """The rate until now; 0 at the first count."""
        if self._first is None:
            self._first = (self._clock(), count)
        began, before = self._first
        elapsed_s = self._clock() - began
        return (count - before) / elapsed_s if elapsed_s else 0.0


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
