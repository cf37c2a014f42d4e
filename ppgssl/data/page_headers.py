"""Where the values of a plain Parquet column chunk lie, which no library tells.

Read are the headers of its data pages alone, in Thrift's compact encoding; what is compressed,
encoded in another way or may hold nulls is not for here.

Source:
    https://github.com/apache/parquet-format (parquet.thrift: PageHeader), and Thrift's
    thrift-compact-protocol.md.
"""

from dataclasses import dataclass
from mmap import mmap

import numpy as np
import numpy.typing as npt

DATA_PAGE, DATA_PAGE_V2 = 0, 3
PLAIN = 0

STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, STRUCT = 0, 1, 2, 3, 7, 8, 12
INTEGERS = (4, 5, 6)

# Fields of a page header, by the numbers on the way to them.
TYPE, STORED_BYTES = (1,), (3,)
NUM_VALUES, ENCODING = (5, 1), (5, 2)
NUM_VALUES_V2, ENCODING_V2, DEFINITION_BYTES_V2, REPETITION_BYTES_V2 = (
    (8, 1),
    (8, 4),
    (8, 5),
    (8, 6),
)


@dataclass(frozen=True, slots=True)
class _Page:
    """Values of a page: how many, where the first lies, and where the page ends."""

    num_values: int
    first_byte: int
    end: int


def locate_rows(
    file: mmap, first_byte: int, num_bytes: int, *, num_rows: int, row_values: int
) -> npt.NDArray[np.int64]:
    """Where each row's float32 values begin, in bytes from the start of the file.

    Args:
        file: The whole file.
        first_byte: Of the column chunk's first page.
        num_bytes: Of all its pages.
        num_rows: Rows in the chunk.
        row_values: Values in each row.

    Raises:
        ValueError: These are no plain pages of whole rows: the file is damaged.
    """
    position, end = first_byte, first_byte + num_bytes
    if end > len(file):
        raise ValueError(f"{len(file)} bytes long, {end} expected")
    found: list[npt.NDArray[np.int64]] = []
    while position < end:
        page = _read_page(file, position)
        rows, rest = divmod(page.num_values, row_values)
        if rest or page.end > end or page.end - page.first_byte != 4 * page.num_values:
            raise ValueError(f"no page of windows of {row_values} samples at byte {position}")
        found.append(page.first_byte + 4 * row_values * np.arange(rows, dtype=np.int64))
        position = page.end
    starts = np.concatenate(found)
    if len(starts) != num_rows:
        raise ValueError(f"{num_rows} windows expected at byte {first_byte}, {len(starts)} found")
    return starts


def _read_page(file: mmap, position: int) -> _Page:
    try:
        fields: dict[tuple[int, ...], int] = {}
        body = _read_struct(file, position, (), fields)
        end = body + fields[STORED_BYTES]
        if fields[TYPE] == DATA_PAGE and fields[ENCODING] == PLAIN:
            values = _after_levels(file, _after_levels(file, body))
            return _Page(fields[NUM_VALUES], values, end)
        if fields[TYPE] == DATA_PAGE_V2 and fields[ENCODING_V2] == PLAIN:
            values = body + fields[REPETITION_BYTES_V2] + fields[DEFINITION_BYTES_V2]
            return _Page(fields[NUM_VALUES_V2], values, end)
    except (IndexError, KeyError) as error:
        raise ValueError(f"no page header at byte {position}") from error
    raise ValueError(f"no page of plain values at byte {position}")


def _after_levels(file: mmap, position: int) -> int:
    """Repetition or definition levels begin with their length, four bytes."""
    return position + 4 + int.from_bytes(file[position : position + 4], "little")


def _read_struct(
    file: mmap, position: int, path: tuple[int, ...], fields: dict[tuple[int, ...], int]
) -> int:
    """Collect the integers of a struct and of those within it; returns where it ends."""
    number = 0
    while (head := file[position]) != STOP:
        position += 1
        step, kind = head >> 4, head & 0x0F
        if step:
            number += step
        else:
            number, position = _read_integer(file, position)
        if kind in INTEGERS:
            fields[*path, number], position = _read_integer(file, position)
        elif kind == STRUCT:
            position = _read_struct(file, position, (*path, number), fields)
        elif kind == BINARY:
            length, position = _read_varint(file, position)
            position += length
        elif kind in (BYTE, DOUBLE):
            position += 1 if kind == BYTE else 8
        elif kind not in (TRUE, FALSE):  # their value is in the kind
            raise ValueError(f"unknown field of kind {kind} at byte {position}")
    return position + 1


def _read_integer(file: mmap, position: int) -> tuple[int, int]:
    value, position = _read_varint(file, position)
    return (value >> 1) ^ -(value & 1), position


def _read_varint(file: mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = file[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
