"""What a check found. Every finding that is not in order says what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, though not as well as it could
    PROBLEM = "problem"  # has to be mended before the service can run


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination; `remedy` is empty where there is nothing to do."""

    check: str
    level: Level
    found: str
    remedy: str = ""

    @classmethod
    def ok(cls, check: str, found: str) -> Self:
        """In order."""
        return cls(check, Level.OK, found)

    @classmethod
    def warning(cls, check: str, found: str, remedy: str) -> Self:
        """Works, though not as well as it could."""
        return cls(check, Level.WARNING, found, remedy)

    @classmethod
    def problem(cls, check: str, found: str, remedy: str) -> Self:
        """Has to be mended."""
        return cls(check, Level.PROBLEM, found, remedy)
