"""Parquet with one sample per row: a long table of one recording or several.

    recording_id  subject_id  time_s  ppg   hr_bpm  sex
    r1            s1          0.000   0.44  94      M
    r1            s1          0.008   0.43  94      M

Rows of a recording are in the order of time. Without recording_id, a subject has one recording. The
rate comes from a column fs_hz, else from the times (a column of timestamps, whatever its name is,
too), else from the caller. A column that does not change within a recording is a label; one that
does is a label track where it is text or its name ends in a unit of vital signs.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ppgssl.data.readers.naming import (
    HOW_TO_GIVE_RATE,
    RATE_NAMES,
    RECORDING_NAMES,
    SUBJECT_NAMES,
    find_channel,
    find_column,
    plain,
)
from ppgssl.data.readers.times import is_time, rate_of_times
from ppgssl.data.readers.values import as_label, as_signal, as_track
from ppgssl.data.recordings import LabelTrack, ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError

ID_NAMES = (*RECORDING_NAMES, *SUBJECT_NAMES)
TRACK_UNITS = ("_bpm", "_pct", "_mmhg")


def signal_columns(schema: pa.Schema) -> list[str]:
    """Columns that may hold a signal: numbers that are neither times nor rates nor names."""
    not_signals = {plain(name) for name in (*RATE_NAMES, *RECORDING_NAMES, *SUBJECT_NAMES)}
    return [
        field.name
        for field in schema
        if (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
        and plain(field.name) not in not_signals
        and not is_time(field.name)
    ]


def find(file: pq.ParquetFile, path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The recordings in the order in which they begin.

    Raises:
        RecordingError: Neither a column nor `options` says the rate.
    """
    schema = file.schema_arrow
    is_rate_known = find_column(schema.names, RATE_NAMES) is not None or _time_name(schema)
    if not is_rate_known and options.fs_hz is None:
        raise RecordingError(f"{path}: no column fs_hz or time_s; {HOW_TO_GIVE_RATE}")
    size_bytes = path.stat().st_size
    id_name = find_column(schema.names, ID_NAMES)
    if id_name is None:
        return [RecordingRef(path, "parquet", path.stem, size_bytes, options=options)]
    counts = _count_rows(file, id_name)
    return [
        RecordingRef(
            path=path,
            format="parquet",
            recording_id=record,
            size_bytes=size_bytes * num_rows // file.metadata.num_rows,
            record=record,
            options=options,
        )
        for record, num_rows in counts.items()
    ]


def load(ref: RecordingRef) -> Recording:
    """Read the rows of a recording.

    Raises:
        RecordingError: There are none, or its times are not evenly spaced.
    """
    schema = pq.read_schema(ref.path)
    numbers = signal_columns(schema)
    channel = numbers[find_channel(numbers, ref.options.channel, ref.path)]
    rows = _read_rows(ref, schema)
    if not rows.num_rows:
        raise RecordingError(f"{ref.path}: there is no recording {ref.record} any more")
    where = f"{ref.path}: {ref.recording_id}"
    fs_hz = _rate(rows, ref.options, where)
    subject_name = find_column(rows.column_names, SUBJECT_NAMES)
    subject_id = None if subject_name is None else rows[subject_name][0].as_py()
    return Recording(
        recording_id=ref.recording_id,
        subject_id=ref.recording_id if subject_id is None else str(subject_id),
        fs_hz=fs_hz,
        signal=as_signal(rows[channel].to_numpy(), where),
        labels=_labels(rows, channel, fs_hz),
    )


def _time_name(schema: pa.Schema) -> str | None:
    """The column that is named so, else one of timestamps (pandas' index has no name)."""
    named = [field.name for field in schema if is_time(field.name)]
    typed = [field.name for field in schema if pa.types.is_temporal(field.type)]
    return next(iter([*named, *typed]), None)


def _count_rows(file: pq.ParquetFile, id_name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in range(file.num_row_groups):
        ids = file.read_row_group(group, columns=[id_name])
        rows_of = ids.group_by(id_name, use_threads=False).aggregate([([], "count_all")])
        for entry in rows_of.to_pylist():
            record = str(entry[id_name])
            counts[record] = counts.get(record, 0) + entry["count_all"]
    return counts


def _read_rows(ref: RecordingRef, schema: pa.Schema) -> pa.Table:
    if not ref.record:
        return pq.read_table(ref.path)
    id_name = find_column(schema.names, ID_NAMES)
    assert id_name is not None, "refs with a record come from files with a column of ids"
    wanted = pa.scalar(ref.record).cast(_plain_type(schema.field(id_name).type))
    return pq.read_table(ref.path, filters=pc.field(id_name) == wanted)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if isinstance(kind, pa.DictionaryType) else kind


def _rate(rows: pa.Table, options: ReadOptions, where: str) -> float:
    rate_name = find_column(rows.column_names, RATE_NAMES)
    if rate_name is not None:
        rates = rows[rate_name].unique().to_pylist()
        if len(rates) != 1 or not isinstance(rates[0], int | float) or not rates[0] > 0:
            raise RecordingError(f"{where}: expected one rate in {rate_name}, got {rates[:5]}")
        return float(rates[0])
    time_name = _time_name(rows.schema)
    if time_name is not None:
        return rate_of_times(rows[time_name].to_numpy(), time_name, where)
    assert options.fs_hz is not None, "files without a rate are found only where it is given"
    return options.fs_hz


def _labels(rows: pa.Table, channel: str, fs_hz: float) -> dict[str, float | str | LabelTrack]:
    not_labels = {plain(name) for name in (channel, *RATE_NAMES, *RECORDING_NAMES, *SUBJECT_NAMES)}
    labels: dict[str, float | str | LabelTrack] = {}
    for name in rows.column_names:
        if plain(name) in not_labels or name == _time_name(rows.schema) or is_time(name):
            continue
        label = _label(rows[name], name, fs_hz)
        if label is not None:
            labels[name] = label
    return labels


def _label(
    column: "pa.ChunkedArray[Any]", name: str, fs_hz: float
) -> float | str | LabelTrack | None:
    distinct = column.unique()
    if len(distinct) == 1:
        return as_label(distinct[0].as_py())
    if pa.types.is_string(_plain_type(column.type)) or name.endswith(TRACK_UNITS):
        return as_track(column.to_numpy(), fs_hz=fs_hz)
    return None
