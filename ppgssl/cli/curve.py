"""A loss curve in characters: braille, two dots wide and four high each.

Axes used in this file:
    R  rows of dots    C  columns of dots
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import groupby
from operator import itemgetter, or_
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

HEIGHT = 10  # characters
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bits of a braille character, as they lie in it."""

BRAILLE = 0x2800
AXIS_WIDTH = 10  # characters
COLOURS = {"train": "bright_black", "val": "dark_orange"}
"""Drawn in this order: where two curves meet, the last one is seen."""


class LossCurve:
    """The totals of both splits, as wide as the screen that shows them."""

    def __init__(self) -> None:
        self._totals: dict[str, dict[int, float]] = {split: {} for split in COLOURS}

    def add(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Keep new points; one of a step that is there already, of an earlier try, is replaced."""
        for point in points:
            total = point["values"].get("total")
            if total is not None:
                self._totals[point["split"]][point["step"]] = total

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Nothing before the second point of a split."""
        drawn = {split: totals for split, totals in self._totals.items() if len(totals) > 1}
        if drawn:
            yield from self._lines(drawn, max(1, options.max_width - AXIS_WIDTH))

    def _lines(self, drawn: Mapping[str, Mapping[int, float]], width: int) -> Iterable[Text]:
        steps = [step for totals in drawn.values() for step in totals]
        first, last = min(steps), max(steps)
        curves = {
            split: column_values(totals, first=first, last=last, columns=2 * width)
            for split, totals in drawn.items()
        }
        low = min(float(np.nanmin(curve)) for curve in curves.values())
        high = max(float(np.nanmax(curve)) for curve in curves.values())
        layers = {split: dots(curve, low=low, high=high) for split, curve in curves.items()}
        for row in range(HEIGHT):
            value = {0: high, HEIGHT - 1: low}.get(row)
            line = Text(f"{'' if value is None else f'{value:.4g}':>{AXIS_WIDTH - 2}} │")
            yield line.append_text(_row_of(layers, row))
        yield self._legend(first, last, width)

    def _legend(self, first: int, last: int, width: int) -> Text:
        newest = Text()
        for split, totals in self._totals.items():
            if totals:
                newest.append(f"{split} {totals[max(totals)]:.4g}  ", style=COLOURS[split])
        left, right = f"step {first}  ", f"step {last}"
        room = max(0, width - len(left) - len(newest) - len(right))
        start = Text(" " * AXIS_WIDTH + left, no_wrap=True, overflow="crop")
        return start.append_text(newest).append(" " * room + right)


def column_values(
    totals: Mapping[int, float], *, first: int, last: int, columns: int
) -> Float[np.ndarray, " C"]:
    """Means of the points in each column, joined by lines; NaN before the first, after the last."""
    steps, values = np.array(list(totals)), np.array(list(totals.values()))
    at = (steps - first) * (columns - 1) // max(1, last - first)
    counts = np.bincount(at, minlength=columns)
    known = np.flatnonzero(counts)
    means = np.bincount(at, weights=values, minlength=columns)[known] / counts[known]
    return np.interp(np.arange(columns), known, means, left=np.nan, right=np.nan)


def dots(curve: Float[np.ndarray, " C"], *, low: float, high: float) -> Bool[np.ndarray, "R C"]:
    """Which dots to set, the highest row first; neighbouring columns are joined."""
    rows = HEIGHT * len(DOTS)
    share = (curve - low) / ((high - low) or 1.0)
    row = np.where(np.isnan(share), -1, np.round((1 - share) * (rows - 1))).astype(int)
    before = np.concatenate([row[:1], row[:-1]])
    before[before < 0] = row[before < 0]
    top, bottom = np.minimum(row, before), np.maximum(row, before)
    every = np.arange(rows)[:, None]
    return (row >= 0) & (every >= top) & (every <= bottom)


def _row_of(layers: Mapping[str, Bool[np.ndarray, "R C"]], row: int) -> Text:
    """One line of characters; each has the colour of the last curve that is in it."""
    text = Text()
    height = len(DOTS)
    codes = {
        split: (layer[row * height : (row + 1) * height].reshape(height, -1, 2) * DOTS[:, None])
        .sum(axis=(0, 2))
        .tolist()
        for split, layer in layers.items()
    }
    cells = [
        _cell(dict(zip(codes, bits, strict=True))) for bits in zip(*codes.values(), strict=True)
    ]
    for style, run in groupby(
        cells, key=itemgetter(0)
    ):  # an escape code per run, not per character
        text.append("".join(character for _, character in run), style=style)
    return text


def _cell(bits: Mapping[str, int]) -> tuple[str, str]:
    """Style and character of what the curves have in one place."""
    seen = [split for split, own in bits.items() if own]
    if not seen:
        return "", " "
    return COLOURS[seen[-1]], chr(BRAILLE + reduce(or_, bits.values()))
