"""Text tables: a column of PPG, beside it one of times, or none where the rate is known.

Separated by comma, semicolon or tab; a header is optional, and a row of units below it is passed
over. Empty cells and NaN are missing samples. With semicolons or tabs, numbers may be written 0,25.
The tables that come with a recording of BIDMC are read as its labels (see `bidmc`).
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from ppgssl.data.readers import bidmc
from ppgssl.data.readers.naming import HOW_TO_GIVE_RATE, SUBJECT_NAMES, find_channel, find_column
from ppgssl.data.readers.times import is_time, rate_of_times
from ppgssl.data.readers.values import as_signal
from ppgssl.data.recordings import ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError

HEAD_BYTES = 65_536
HEAD_LINES = 20
DELIMITERS = (";", "\t", ",")  # in this order: 0,25;0,26 is two numbers
MOST_HEADER_ROWS = 2
MISSING = ["", "NaN", "nan", "NAN", "NA", "N/A", "null", "NULL", "None", "-"]

OTHER_EMPATICA_SENSORS = frozenset({"acc.csv", "eda.csv", "hr.csv", "ibi.csv", "temp.csv"})


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written.

    Attributes:
        names: Of its columns, stripped; made up where it has no header.
        delimiter: Between cells.
        decimal_point: Within numbers.
        skip_rows: Lines before the first row of data.
    """

    names: tuple[str, ...]
    delimiter: str
    decimal_point: str
    skip_rows: int

    @property
    def time_column(self) -> int | None:
        """Position of the samples' times."""
        return next((k for k, name in enumerate(self.names) if is_time(name)), None)

    @property
    def subject_column(self) -> int | None:
        """Position of the subject's id."""
        name = find_column(self.names, SUBJECT_NAMES)
        return None if name is None else self.names.index(name)

    def channel_column(self, wanted: str | None, path: Path) -> int:
        """Position of the PPG, which is never that of the times."""
        others = [k for k in range(len(self.names)) if k != self.time_column]
        return others[find_channel([self.names[k] for k in others], wanted, path)]


def find(path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The recording of a table. Reads its first lines.

    Raises:
        RecordingError: It is no table of numbers, has no PPG column, or does not say its rate.
    """
    layout = _sniff(path)
    if path.name.lower() in OTHER_EMPATICA_SENSORS:
        raise RecordingError(f"{path}: another sensor of an Empatica export; the PPG is in BVP.csv")
    layout.channel_column(options.channel, path)
    if layout.time_column is None and options.fs_hz is None:
        raise RecordingError(f"{path}: no column of times; {HOW_TO_GIVE_RATE}")
    return [
        RecordingRef(
            path=path,
            format="csv",
            recording_id=bidmc.recording_name(path),
            size_bytes=path.stat().st_size,
            parts=bidmc.companions(path),
            options=options,
        )
    ]


def load(ref: RecordingRef) -> Recording:
    """Read the columns of times and of the PPG.

    Raises:
        RecordingError: A row is incomplete, a cell is no number, the times are not evenly spaced,
            or there are several subjects.
    """
    layout = _sniff(ref.path)
    channel, time = layout.channel_column(ref.options.channel, ref.path), layout.time_column
    table = _read(ref.path, layout, channel)
    if time is None:
        assert ref.options.fs_hz is not None, "tables without times are found only with a rate"
        fs_hz = ref.options.fs_hz
    else:
        fs_hz = rate_of_times(_times(table, time, ref.path), layout.names[time], ref.path)
    subject_id, labels = bidmc.read_companions(ref.path)
    return Recording(
        recording_id=ref.recording_id,
        subject_id=_subject(table, layout, ref.path) or subject_id or ref.recording_id,
        fs_hz=fs_hz,
        signal=as_signal(table[str(channel)].to_numpy(), ref.path),
        labels=labels,
    )


def _sniff(path: Path) -> Layout:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    lines = head.decode("utf-8-sig", errors="replace").splitlines()
    if len(head) == HEAD_BYTES:
        lines = lines[:-1]  # cut off in the middle
    num_comments = next((k for k, line in enumerate(lines) if not line.startswith("#")), 0)
    lines = lines[num_comments : num_comments + HEAD_LINES]
    delimiter = next((d for d in DELIMITERS if _is_table(lines, d)), ",")
    has_points = any("." in line for line in lines[1:])
    decimal_point = "." if delimiter == "," or has_points else ","

    rows = [[_strip(cell) for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    numeric = [any(_is_number(cell, decimal_point) for cell in row) for row in rows]
    num_header = numeric.index(True) if True in numeric else len(rows)
    if num_header > MOST_HEADER_ROWS or len(rows) == num_header:
        raise RecordingError(f"{path}: no table of numbers")
    names = rows[0] if num_header else _made_up_names(len(rows[0]))
    return Layout(tuple(names), delimiter, decimal_point, num_comments + num_header)


def _is_table(lines: Sequence[str], delimiter: str) -> bool:
    widths = {len(row) for row in csv.reader(lines, delimiter=delimiter)}
    return len(widths) == 1 and max(widths) > 1


def _strip(cell: str) -> str:
    return cell.strip().strip("'").strip()


def _is_number(cell: str, decimal_point: str) -> bool:
    try:
        float(cell.replace(decimal_point, "."))
    except ValueError:
        return False
    return True


def _made_up_names(num_columns: int) -> list[str]:
    """Without a header: the signal, or times and signal."""
    known = {1: ["signal"], 2: ["time", "signal"]}
    return known.get(num_columns) or [f"column {k + 1}" for k in range(num_columns)]


def _read(path: Path, layout: Layout, channel: int) -> pa.Table:
    """The columns of the channel, times and subject, called by their positions."""
    wanted = [k for k in (channel, layout.time_column, layout.subject_column) if k is not None]
    return pacsv.read_csv(
        path,
        pacsv.ReadOptions(
            use_threads=False,
            skip_rows=layout.skip_rows,
            column_names=[str(k) for k in range(len(layout.names))],
        ),
        # In a single column an empty line is a missing sample.
        pacsv.ParseOptions(delimiter=layout.delimiter, ignore_empty_lines=len(layout.names) > 1),
        pacsv.ConvertOptions(
            include_columns=[str(k) for k in wanted],
            column_types={str(channel): pa.float64()},
            null_values=MISSING,
            decimal_point=layout.decimal_point,
        ),
    )


def _times(table: pa.Table, position: int, path: Path) -> npt.NDArray[Any]:
    times = table[str(position)]
    if pa.types.is_timestamp(times.type):
        return times.cast(pa.timestamp("ns")).to_numpy()
    if not (pa.types.is_integer(times.type) or pa.types.is_floating(times.type)):
        raise RecordingError(
            f"{path}: {times[0]} is no time; expected seconds, milliseconds, or timestamps such as "
            "2024-05-31 12:00:00.008"
        )
    return times.to_numpy().astype(np.float64)


def _subject(table: pa.Table, layout: Layout, path: Path) -> str | None:
    if layout.subject_column is None:
        return None
    subjects = table[str(layout.subject_column)].unique().to_pylist()
    if len(subjects) != 1:
        raise RecordingError(
            f"{path}: holds {len(subjects)} subjects; give each a file, or one Parquet file with a "
            "column recording_id"
        )
    return None if subjects[0] is None else str(subjects[0])
