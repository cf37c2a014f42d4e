"""What a pool is asked for, wherever its workers are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Workplace:
    """What workers have to find where they are.

    Attributes:
        modules: That their work imports.
        out: Folder that they write into, and this process reads from.
        sources: Files that they read.
    """

    modules: Sequence[str]
    out: Path
    sources: Iterable[Path]


class Pool(Protocol):
    """Workers."""

    def work_off(
        self, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Result]]:
        """The number of each job and what `work(*job)` gave, as they finish.

        `work` is a module's function that may be done again where a worker dies in the midst of it.

        Raises:
            RunError: Workers died, or do not find the workplace.
            PpgsslError: What `work` raises.
        """
        ...


OpenPool = Callable[[int | None, Workplace], AbstractContextManager[Pool]]
"""Opens a pool of so many workers (None: as many as there are CPUs) for a workplace."""
