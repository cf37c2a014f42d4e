"""How a text table is written, found out from its first lines.

    Patient: 7               lines above the table, of other widths or without its numbers
    Time [s]; PLETH; ECG     names
    s; NU; mV                units, or none
    0,008; 0,25; -0,1        data: numbers where most rows have numbers

Nothing here reads more than the head of a file, or judges what its columns mean.
"""

import codecs
import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ppgssl.data.readers.naming import likely_channel
from ppgssl.errors import RecordingError

HEAD_BYTES = 65_536
HEAD_LINES = 100
DELIMITERS = (";", "\t", "|", ",", " ")  # in this order: 0,25;0,26 is two numbers
SPACES = " "  # any number of them are one delimiter
COMMENT = "#"
MOST_NAME_ROWS = 2  # names, and units below them
MISSING = ("", "NaN", "nan", "NAN", "NA", "N/A", "null", "NULL", "None", "-")

Row = list[str]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written.

    Attributes:
        names: Of its columns, stripped; made up where it has none.
        delimiter: Between cells.
        decimal_point: Within numbers.
        skip_rows: Lines before the first row of data.
        encoding: Of the text.
    """

    names: tuple[str, ...]
    delimiter: str
    decimal_point: str
    skip_rows: int
    encoding: str


def sniff(path: Path) -> Layout:
    """Find out how a table is written.

    Raises:
        RecordingError: It is no table of numbers.
    """
    encoding, lines = _head(path)
    half = len(lines) // 2  # below whatever stands above the table
    delimiter = next((d for d in DELIMITERS if _is_table(_split(lines[half:], d))), ",")
    rows = _split(lines, delimiter)
    width = _width(rows[half:])
    last_rows = [row for row in rows[half:] if len(row) == width]
    decimal_point = "," if delimiter != "," and _has_decimal_commas(last_rows) else "."
    numeric = [
        k
        for k in range(width)
        if 2 * sum(_is_number(row[k], decimal_point) for row in last_rows) >= len(last_rows) > 0
    ]
    is_comment = [line.startswith(COMMENT) for line in lines]
    is_data = [
        not comment and _is_data(row, width, numeric, decimal_point)
        for row, comment in zip(rows, is_comment, strict=True)
    ]
    start = is_data.index(True) if any(is_data) else len(rows)
    if 2 * sum(is_data) <= sum(bool(row) for row in rows[start:]):
        raise RecordingError(f"{path}: no table of numbers")
    names = _names(rows[:start], is_comment[:start], last_rows)
    return Layout(tuple(names), delimiter, decimal_point, start, encoding)


def _head(path: Path) -> tuple[str, list[str]]:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    is_wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if is_wide else "utf-8-sig"
    lines = head.decode(encoding, errors="replace").splitlines()
    if len(head) == HEAD_BYTES:
        lines = lines[:-1]  # cut off in the middle
    return encoding, lines[:HEAD_LINES]


def _split(lines: Sequence[str], delimiter: str) -> list[Row]:
    """The cells of each line, also of a comment; none of an empty one."""
    lines = [line.lstrip(COMMENT) for line in lines]
    if delimiter == SPACES:
        return [line.split() for line in lines]
    cells = (next(csv.reader([line], delimiter=delimiter), Row()) for line in lines)
    return [[cell.strip().strip("'").strip() for cell in row] for row in cells]


def _is_table(rows: Sequence[Row]) -> bool:
    width = _width(rows)
    return width > 1 and 2 * sum(len(row) == width for row in rows) > sum(map(bool, rows))


def _width(rows: Sequence[Row]) -> int:
    """That of most rows."""
    widths = Counter(len(row) for row in rows if row)
    return widths.most_common(1)[0][0] if widths else 0


def _is_number(cell: str, decimal_point: str) -> bool:
    try:
        return not math.isnan(float(cell.replace(decimal_point, ".")))
    except ValueError:
        return False


def _has_decimal_commas(rows: Sequence[Row]) -> bool:
    return any("," in cell and _is_number(cell, ",") for row in rows for cell in row)


def _is_data(row: Row, width: int, numeric: Sequence[int], decimal_point: str) -> bool:
    """Whether the columns of numbers hold numbers, or say that they are missing."""
    if len(row) != width:
        return False
    cells = [row[k] for k in numeric]
    return any(cells) and all(c in MISSING or _is_number(c, decimal_point) for c in cells)


def _names(rows: Sequence[Row], is_comment: Sequence[bool], last_rows: Sequence[Row]) -> Row:
    """The row above the data that names a PPG, else the row of names above the units, if any."""
    width = len(last_rows[0])
    ends_empty = not any(row[-1] for row in last_rows)
    fitted = [_fit(row, width, ends_empty) for row in rows]
    fitting = [row for row in fitted if row is not None]
    likely = [row for row in fitting if likely_channel(row) is not None]
    if likely:
        return likely[-1]
    plain = [row for row, comment in zip(fitted, is_comment, strict=True) if row and not comment]
    return plain[-MOST_NAME_ROWS:][0] if plain else _made_up(width)


def _fit(row: Row, width: int, ends_empty: bool) -> Row | None:
    """Names for each column: the first, or an empty last one, may have none."""
    if row and len(row) == width - 1:
        return [*row, ""] if ends_empty else ["", *row]
    return row if len(row) == width else None


def _made_up(width: int) -> Row:
    """Without names: the signal, or times and signal."""
    known = {1: ["signal"], 2: ["time", "signal"]}
    return known.get(width) or [f"column {k + 1}" for k in range(width)]
