"""Text tables: a column of PPG, beside it one of times, or none where the rate is known.

Separated by comma, semicolon, tab, bar or spaces; names are optional, and lines above them or units
below are passed over (see `layout`). Empty cells and NaN are missing samples. Where the comma does
not separate, numbers may be written 0,25. The tables that come with a recording of BIDMC are read
as its labels (see `bidmc`).
"""

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from ppgssl.data.readers import bidmc
from ppgssl.data.readers.layout import MISSING, SPACES, Layout, sniff
from ppgssl.data.readers.naming import HOW_TO_GIVE_RATE, SUBJECT_NAMES, find_channel, find_column
from ppgssl.data.readers.times import is_time, rate_of_times, times_of_clock
from ppgssl.data.readers.values import as_signal
from ppgssl.data.recordings import ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError

OTHER_EMPATICA_SENSORS = frozenset({"acc.csv", "eda.csv", "hr.csv", "ibi.csv", "temp.csv"})


def find(path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The recording of a table. Reads its first lines.

    Raises:
        RecordingError: It is no table of numbers, has no PPG column, or does not say its rate.
    """
    layout = sniff(path)
    if path.name.lower() in OTHER_EMPATICA_SENSORS:
        raise RecordingError(f"{path}: another sensor of an Empatica export; the PPG is in BVP.csv")
    _channel_column(layout, options.channel, path)
    if _time_column(layout) is None and options.fs_hz is None:
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
    layout = sniff(ref.path)
    channel = _channel_column(layout, ref.options.channel, ref.path)
    time, subject = _time_column(layout), _subject_column(layout)
    table = _read(ref.path, layout, [k for k in (channel, time, subject) if k is not None])
    if time is None:
        assert ref.options.fs_hz is not None, "tables without times are found only with a rate"
        fs_hz = ref.options.fs_hz
    else:
        fs_hz = rate_of_times(_times(table, time, ref.path), layout.names[time], ref.path)
    subject_id, labels = bidmc.read_companions(ref.path)
    return Recording(
        recording_id=ref.recording_id,
        subject_id=_subject(table, subject, ref.path) or subject_id or ref.recording_id,
        fs_hz=fs_hz,
        signal=as_signal(table[str(channel)].to_numpy(), ref.path),
        labels=labels,
    )


def _time_column(layout: Layout) -> int | None:
    return next((k for k, name in enumerate(layout.names) if is_time(name)), None)


def _subject_column(layout: Layout) -> int | None:
    name = find_column(layout.names, SUBJECT_NAMES)
    return None if name is None else layout.names.index(name)


def _channel_column(layout: Layout, wanted: str | None, path: Path) -> int:
    """Position of the PPG, which is never that of the times."""
    time = _time_column(layout)
    others = [k for k in range(len(layout.names)) if k != time]
    return others[find_channel([layout.names[k] for k in others], wanted, path)]


def _read(path: Path, layout: Layout, wanted: list[int]) -> pa.Table:
    """The wanted columns, called by their positions; the first is that of the channel."""
    return pacsv.read_csv(
        _plain_text(path, layout),
        pacsv.ReadOptions(
            use_threads=False,
            skip_rows=layout.skip_rows,
            column_names=[str(k) for k in range(len(layout.names))],
        ),
        # In a single column an empty line is a missing sample.
        pacsv.ParseOptions(delimiter=layout.delimiter, ignore_empty_lines=len(layout.names) > 1),
        pacsv.ConvertOptions(
            include_columns=[str(k) for k in wanted],
            column_types={str(wanted[0]): pa.float64()},
            null_values=list(MISSING),
            decimal_point=layout.decimal_point,
        ),
    )


def _plain_text(path: Path, layout: Layout) -> Path | BinaryIO:
    """The file itself, or its text as the parser takes it: in UTF-8 and with single spaces."""
    if layout.encoding != "utf-16" and layout.delimiter != SPACES:
        return path
    lines = path.read_text(layout.encoding).splitlines()
    if layout.delimiter == SPACES:
        lines = [" ".join(line.split()) for line in lines]
    return io.BytesIO("\n".join(lines).encode())


def _times(table: pa.Table, position: int, path: Path) -> npt.NDArray[Any]:
    times = table[str(position)]
    if pa.types.is_timestamp(times.type):
        return times.cast(pa.timestamp("ns")).to_numpy()
    if pa.types.is_integer(times.type) or pa.types.is_floating(times.type):
        return times.to_numpy().astype(np.float64)
    clock = times_of_clock(times)
    if np.isnat(clock[0]):
        raise RecordingError(
            f"{path}: {times[0]} is no time; expected seconds, milliseconds, or timestamps such as "
            "2024-05-31 12:00:00.008"
        )
    return clock


def _subject(table: pa.Table, position: int | None, path: Path) -> str | None:
    if position is None:
        return None
    subjects = table[str(position)].unique().to_pylist()
    if len(subjects) != 1:
        raise RecordingError(
            f"{path}: holds {len(subjects)} subjects; give each a file, or one Parquet file with a "
            "column recording_id"
        )
    return None if subjects[0] is None else str(subjects[0])
