"""Parquet in two layouts: a recording per row, or a sample per row.

    one recording per row    recording_id, subject_id, fs_hz, ppg: list<float>, hr_bpm: list<float>,
                             sex, ...   (see `parquet_rows`)
    one sample per row       recording_id, time_s, ppg: float, ...   (see `parquet_samples`)

This module tells them apart. The channel is looked for among the lists first.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.data.readers import parquet_rows, parquet_samples
from ppgssl.data.readers.naming import find_channel
from ppgssl.data.recordings import ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError


def find(path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The recordings of a file. Reads its columns of names and rates, no signal.

    Raises:
        RecordingError: The file is damaged, holds no PPG, or does not say its rate.
    """
    with pq.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            raise RecordingError(f"{path}: the table has no rows")
        if "window_id" in file.schema_arrow.names:
            raise RecordingError(
                f"{path}: holds windows that are prepared already, no recordings; give the "
                "recordings that they were made of"
            )
        if _has_row_per_recording(file.schema_arrow, options, path):
            return parquet_rows.find(file, path, options)
        return parquet_samples.find(file, path, options)


def load(ref: RecordingRef) -> Recording:
    """Read a recording: of one row group where it is one row, of those it lies in otherwise.

    Raises:
        RecordingError: The file does not hold it, or its times are not evenly spaced.
    """
    return parquet_samples.load(ref) if ref.row is None else parquet_rows.load(ref)


def _has_row_per_recording(schema: pa.Schema, options: ReadOptions, path: Path) -> bool:
    lists = parquet_rows.signal_columns(schema)
    numbers = parquet_samples.signal_columns(schema)
    position = find_channel([*lists, *numbers], options.channel, path)
    return position < len(lists)
