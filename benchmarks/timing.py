"""Time things fairly on a machine that is never quite quiet: in turn, many times, by medians."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

GEMM_SIZE = 2048


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: A ratio, or seconds, ... as `unit` says; None where it could not be measured.
        unit: Of the value; empty for a ratio.
        goal: What it should be, in words; empty where there is none.
        note: What it was measured against, or why it was not.
    """

    name: str
    value: float | None
    unit: str = ""
    goal: str = ""
    note: str = ""


def seconds(work: Callable[[], object]) -> float:
    """Once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, A B C A B C ...: what slows the machine down slows all of them."""
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return taken


def ratio(of: list[float], to: list[float]) -> float:
    """The median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(of, to, strict=True))


def percentile(values: list[float], share: float) -> float:
    """The value that so large a share lies below or at; from 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
