"""Parquet with one recording per row, its signal in a list column.

    recording_id  subject_id  fs_hz  ppg           hr_bpm     age  sex
    bidmc_01      s01182      125    [0.44, ...]   [94, ...]  88   M

- A signal of integers is raw counts: `adc` is (adc - adc_baseline) / adc_gain where those columns
  are there, and the least integer of its type is a missing sample.
- A list with one value per second is a label track. One that starts later than the signal says so:
  `start_unix_s` for the recording, and `device_hr_start_unix_s` for `device_hr_bpm`.
- Other lists (sample numbers of beats, other channels) are left alone; a single value is a label.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
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
from ppgssl.data.readers.values import as_label, as_signal, as_track_per_second
from ppgssl.data.recordings import LabelTrack, ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError

START = "start_unix_s"


def signal_columns(schema: pa.Schema) -> list[str]:
    """Columns that may hold a signal: lists of numbers."""
    return [field.name for field in schema if _is_list(field.type) and _is_number(field.type)]


def find(file: pq.ParquetFile, path: Path, options: ReadOptions) -> list[RecordingRef]:
    """One recording per row.

    Raises:
        RecordingError: No column names the rate and `options` do not either.
    """
    names = file.schema_arrow.names
    if find_column(names, RATE_NAMES) is None and options.fs_hz is None:
        raise RecordingError(f"{path}: no column fs_hz; {HOW_TO_GIVE_RATE}")
    id_name = find_column(names, RECORDING_NAMES)
    ids = None if id_name is None else file.read([id_name])[id_name].to_pylist()
    return [
        RecordingRef(
            path=path,
            format="parquet",
            recording_id=f"{path.stem}[{row}]" if ids is None else str(ids[row]),
            size_bytes=size_bytes,
            row=row,
            options=options,
        )
        for row, size_bytes in enumerate(_shares(file.metadata))
    ]


def load(ref: RecordingRef) -> Recording:
    """Read the row of a recording.

    Raises:
        RecordingError: The row has no signal or no rate.
    """
    assert ref.row is not None, "refs of this layout have a row"
    row = _read_row(ref.path, ref.row)
    names = list(row.schema.names)
    channels = signal_columns(row.schema)
    channel = channels[find_channel(channels, ref.options.channel, ref.path)]
    where = f"{ref.path}: row {ref.row}"
    if not row[channel][0].is_valid:
        raise RecordingError(f"{where}: {channel} is empty")

    scalars = {name: row[name][0].as_py() for name in names if not _is_list(row[name].type)}
    rate_name = find_column(names, RATE_NAMES)
    fs_hz = ref.options.fs_hz if rate_name is None else scalars.pop(rate_name)
    if not isinstance(fs_hz, int | float) or not 0 < fs_hz < np.inf:
        raise RecordingError(f"{where}: the sampling rate is {fs_hz}; expected a number of Hz")
    signal = as_signal(_signal(row, channel, scalars), where)
    subject_id = scalars.get(find_column(names, SUBJECT_NAMES) or "")
    tracks = dict(_tracks(row, channel, scalars, len(signal) / fs_hz))
    return Recording(
        recording_id=ref.recording_id,
        subject_id=ref.recording_id if subject_id is None else str(subject_id),
        fs_hz=float(fs_hz),
        signal=signal,
        labels=_labels(scalars, channel) | tracks,
    )


def _shares(metadata: pq.FileMetaData) -> Iterator[int]:
    """Bytes of each row: its share of its row group."""
    for k in range(metadata.num_row_groups):
        group = metadata.row_group(k)
        size_bytes = sum(group.column(c).total_compressed_size for c in range(group.num_columns))
        yield from [size_bytes // group.num_rows] * group.num_rows


def _read_row(path: Path, row: int) -> pa.Table:
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            num_rows = file.metadata.row_group(group).num_rows
            if row < first + num_rows:
                table = _read_group(path, path.stat().st_mtime_ns, group)
                return table.slice(row - first, 1)
            first += num_rows
    raise RecordingError(f"{path}: there is no row {row} any more; the file has {first}")


@lru_cache(maxsize=1)
def _read_group(path: Path, mtime_ns: int, group: int) -> pa.Table:
    """The last row group is kept: many files have but one, and are read row by row."""
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, use_threads=False)


def _signal(row: pa.Table, channel: str, scalars: Mapping[str, object]) -> npt.NDArray[Any]:
    values = _to_numpy(row, channel)
    if values.dtype.kind != "i":
        return values
    gain, baseline = scalars.get(f"{channel}_gain"), scalars.get(f"{channel}_baseline")
    is_missing = values == np.iinfo(values.dtype).min
    counts = values.astype(np.float64)
    if isinstance(gain, int | float):
        counts = (counts - (baseline if isinstance(baseline, int | float) else 0)) / gain
    return np.where(is_missing, np.nan, counts)


def _labels(scalars: Mapping[str, object], channel: str) -> dict[str, float | str | LabelTrack]:
    """All single values but those that say how to read the signal."""
    other = [*RECORDING_NAMES, *SUBJECT_NAMES, f"{channel}_gain", f"{channel}_baseline"]
    not_labels = {plain(name) for name in other}
    labels = {
        name: as_label(value)
        for name, value in scalars.items()
        if plain(name) not in not_labels and not name.endswith(START)
    }
    return {name: label for name, label in labels.items() if label is not None}


def _tracks(
    row: pa.Table, channel: str, scalars: Mapping[str, Any], recorded_s: float
) -> Iterator[tuple[str, LabelTrack]]:
    for name in row.schema.names:
        if name == channel or not _is_list(row[name].type) or not row[name][0].is_valid:
            continue
        late_s = _start_of(name, scalars) - (scalars.get(START) or 0.0)
        track = as_track_per_second(name, _to_numpy(row, name), recorded_s, late_s=late_s)
        if track is not None:
            yield name, track


def _start_of(name: str, scalars: Mapping[str, Any]) -> float:
    """When a track starts; with the recording where no column says so."""
    own = next(
        (
            key
            for key in scalars
            if key.endswith(f"_{START}") and name.startswith(key[: -len(START)])
        ),
        START,
    )
    return scalars.get(own) or 0.0


def _to_numpy(row: pa.Table, name: str) -> npt.NDArray[Any]:
    return row[name][0].values.to_numpy(zero_copy_only=False)


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_number(kind: Any) -> bool:
    return pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)
