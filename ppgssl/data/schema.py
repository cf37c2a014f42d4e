"""The columns of a dataset's `windows-*.parquet` files, and how they are laid out on disk.

Signals are stored uncompressed, without dictionaries or statistics, and in columns that cannot hold
nulls: reading them back is then little more than a copy. Nothing here touches a whole dataset.

Axes used in this package:
    N  windows
    B  windows in one batch
    T  samples in one window
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

SIGNAL_COLUMNS = ("signal", "denoised")
TEXT_COLUMNS = ("recording_id", "subject_id", "split")
RESERVED_COLUMNS = (
    "window_id",
    "recording_id",
    "subject_id",
    "start_s",
    "valid_s",
    "split",
    "sqi",
    *SIGNAL_COLUMNS,
)

ROW_GROUP_MB = 8.0
FLOAT32_BYTES = 4

# The largest page pyarrow's writer makes by itself. Larger pages read more slowly (measured:
# 1,035 MB/s with 1 MB pages, 648 MB/s with 8 MB pages).
PAGE_BYTES = 2**20


def window_bytes(window_samples: int) -> int:
    """Bytes that the signals of one window take, in memory and on disk."""
    return len(SIGNAL_COLUMNS) * FLOAT32_BYTES * window_samples


def windows_per_group(window_samples: int, row_group_mb: float = ROW_GROUP_MB) -> int:
    """Windows in a row group of about `row_group_mb` megabytes; at least one."""
    return max(1, int(row_group_mb * 1e6) // window_bytes(window_samples))


def rows_schema(window_samples: int, labels: Mapping[str, pa.DataType]) -> pa.Schema:
    """Columns of windows that have not been numbered and split yet."""
    signal = pa.list_(pa.field("element", pa.float32(), nullable=False), window_samples)
    return pa.schema(
        [
            pa.field("recording_id", pa.string(), nullable=False),
            pa.field("subject_id", pa.string(), nullable=False),
            pa.field("start_s", pa.float64(), nullable=False),
            pa.field("valid_s", pa.float64(), nullable=False),
            pa.field("sqi", pa.float32(), nullable=False),
            *(pa.field(name, kind) for name, kind in labels.items()),
            *(pa.field(name, signal, nullable=False) for name in SIGNAL_COLUMNS),
        ]
    )


def dataset_schema(window_samples: int, labels: Mapping[str, pa.DataType]) -> pa.Schema:
    """Columns of a `windows-*.parquet` file."""
    schema = rows_schema(window_samples, labels)
    schema = schema.insert(0, pa.field("window_id", pa.int64(), nullable=False))
    return schema.insert(
        schema.get_field_index("sqi"), pa.field("split", pa.string(), nullable=False)
    )


def label_names(schema: pa.Schema) -> list[str]:
    """Columns that are labels, in their order."""
    return [name for name in schema.names if name not in RESERVED_COLUMNS]


def windows_table(
    *,
    signal: npt.NDArray[np.float32],
    denoised: npt.NDArray[np.float32],
    recording_ids: Sequence[str],
    subject_ids: Sequence[str],
    start_s: npt.ArrayLike,
    valid_s: npt.ArrayLike,
    sqi: npt.ArrayLike,
    labels: pa.Table | None = None,
) -> pa.Table:
    """Windows as Arrow rows, ready for `DatasetWriter.write`. Signals are not copied.

    Args:
        signal: (N, T), as recorded, resampled.
        denoised: (N, T), same units.
        recording_ids: One per window.
        subject_ids: One per window.
        start_s: (N,) seconds from the start of the recording.
        valid_s: (N,) seconds of the window that were recorded; the rest is padding.
        sqi: (N,) signal quality, 0 to 1.
        labels: One column per label, one row per window; null where there is none.

    Raises:
        ValueError: The two signals differ in shape or are not (N, T).
    """
    if signal.ndim != 2 or signal.shape != denoised.shape:
        raise ValueError(
            f"signal and denoised must both be (N, T), got {signal.shape} and {denoised.shape}"
        )
    kinds = (
        {} if labels is None else dict(zip(labels.column_names, labels.schema.types, strict=True))
    )
    schema = rows_schema(signal.shape[1], kinds)
    columns: dict[str, Any] = {
        "recording_id": recording_ids,
        "subject_id": subject_ids,
        "start_s": np.asarray(start_s, np.float64),
        "valid_s": np.asarray(valid_s, np.float64),
        "sqi": np.asarray(sqi, np.float32),
    }
    arrays = [pa.array(values, schema.field(name).type) for name, values in columns.items()]
    arrays += [] if labels is None else labels.columns
    arrays += [_signal_array(x, schema.field("signal").type) for x in (signal, denoised)]
    return pa.Table.from_arrays(arrays, schema=schema)


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer whose signal columns are plain floats, in pages of whole windows."""
    text_columns: Any = [name for name in schema.names if name in TEXT_COLUMNS]
    metadata_columns = [name for name in schema.names if name not in SIGNAL_COLUMNS]
    return pq.ParquetWriter(
        path,
        schema,
        compression="none",
        use_dictionary=text_columns,
        write_statistics=metadata_columns,
        data_page_size=PAGE_BYTES,
        write_page_index=True,  # with one, no window begins on one page and ends on the next
    )


def signal_matrix(rows: pa.Table, name: str, window_samples: int) -> npt.NDArray[np.float32]:
    """A signal column as (N, T), without a copy where its rows lie in one piece.

    Raises:
        ValueError: The rows are not all `window_samples` long.
    """
    column: Any = rows.column(name).combine_chunks()
    flat: npt.NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    expected = len(rows) * window_samples
    if flat.size != expected:
        raise ValueError(
            f"{len(rows)} windows of {window_samples} samples are {expected} values, "
            f"got {flat.size} in {name!r}"
        )
    return flat.astype(np.float32, copy=False).reshape(len(rows), window_samples)


def _signal_array(x: npt.NDArray[np.float32], kind: Any) -> Any:
    flat = pa.array(np.ascontiguousarray(x, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)
