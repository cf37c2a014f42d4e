"""Decodes the windows of one split from `windows-*.parquet` files, row group by row group."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.data.batch import WindowBatch
from ppgssl.data.schema import SIGNAL_COLUMNS, Split, signal_matrix
from ppgssl.errors import DatasetError

REQUIRED_COLUMNS = ("window_id", "split", *SIGNAL_COLUMNS)


@dataclass(frozen=True, slots=True)
class Shard:
    """One `windows-*.parquet` file and its footer, read once."""

    path: Path
    footer: pq.FileMetaData

    @property
    def num_windows(self) -> int:
        """Windows of all splits in this file."""
        return self.footer.num_rows

    def open(self) -> pq.ParquetFile:
        """The file. Not shared: a `ParquetFile` is not safe to use from two threads."""
        return pq.ParquetFile(self.path, metadata=self.footer)

    def read_columns(self, columns: Sequence[str]) -> pa.Table:
        """Whole columns.

        Raises:
            DatasetError: The file cannot be read.
        """
        try:
            with self.open() as file:
                return file.read(columns=list(columns), use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise damaged(self.path, error) from error


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Windows of the split within one row group; `rows` are their positions in it."""

    shard: Shard
    row_group: int
    num_rows: int
    rows: npt.NDArray[np.int64]


def open_shards(folder: Path, window_samples: int) -> list[Shard]:
    """Read the footer of every shard.

    Raises:
        DatasetError: A file is truncated, lacks a column, or holds windows of another length.
    """
    return [_open_shard(path, window_samples) for path in sorted(folder.glob("windows-*.parquet"))]


def groups_of(shard: Shard, split: Split) -> list[RowGroup]:
    """Row groups that hold windows of the split.

    Raises:
        DatasetError: The file is damaged.
    """
    is_wanted = _is_in(shard.read_columns(["split"]), split)
    groups: list[RowGroup] = []
    start = 0
    for index in range(shard.footer.num_row_groups):
        num_rows = shard.footer.row_group(index).num_rows
        rows = np.flatnonzero(is_wanted[start : start + num_rows]).astype(np.int64)
        if len(rows):
            groups.append(RowGroup(shard, index, num_rows, rows))
        start += num_rows
    return groups


def damaged(path: Path, error: Exception) -> DatasetError:
    """What to say of a file that cannot be read."""
    return DatasetError(
        f"{path}: cannot be read ({error}); the file is damaged or truncated: restore it, or "
        "prepare the dataset again"
    )


class ParquetWindows:
    """A `GroupSource` over shards of any encoding; shards may mix splits."""

    def __init__(self, shards: Sequence[Shard], split: Split, window_samples: int) -> None:
        self.window_samples = window_samples
        self._split: Split = split
        self._shards = shards
        self._groups = [group for shard in shards for group in groups_of(shard, split)]
        self.rows_per_group = [len(group.rows) for group in self._groups]
        self.largest_group = max((group.num_rows for group in self._groups), default=0)

    def read(self, group: int, out: WindowBatch) -> None:
        """Read one row group into `out`.

        Raises:
            DatasetError: The file is damaged, or holds rows of another length.
        """
        place = self._groups[group]
        path = place.shard.path
        try:
            with place.shard.open() as file:
                table = file.read_row_group(
                    place.row_group, columns=["window_id", *SIGNAL_COLUMNS], use_threads=False
                )
            out.window_id[:] = table.column("window_id").to_numpy()[place.rows]
            for name, target in (("signal", out.signal), ("denoised", out.denoised)):
                matrix = signal_matrix(table, name, self.window_samples)
                np.take(matrix, place.rows, axis=0, out=target, mode="clip")
        except (OSError, ValueError, pa.ArrowException) as error:
            raise damaged(path, error) from error

    def metadata(self) -> pa.Table:
        """One row per window in stored order, all columns but the signals."""
        return metadata_of(self._shards, self._split)


def metadata_of(shards: Sequence[Shard], split: Split) -> pa.Table:
    """One row per window of a split in stored order, all columns but the signals.

    Raises:
        DatasetError: A file is damaged.
    """
    tables: list[pa.Table] = []
    for shard in shards:
        names = shard.footer.schema.to_arrow_schema().names
        table = shard.read_columns([name for name in names if name not in SIGNAL_COLUMNS])
        tables.append(table.filter(pa.array(_is_in(table, split))))
    return pa.concat_tables(tables, promote_options="default")


def _open_shard(path: Path, window_samples: int) -> Shard:
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error
    schema = footer.schema.to_arrow_schema()
    missing = [name for name in REQUIRED_COLUMNS if name not in schema.names]
    if missing:
        raise DatasetError(f"{path}: column {missing[0]!r} is missing; it has {schema.names}")
    for name in SIGNAL_COLUMNS:
        kind = schema.field(name).type
        if pa.types.is_fixed_size_list(kind) and kind.list_size != window_samples:
            raise DatasetError(
                f"{path}: column {name!r} holds {kind.list_size} samples a window, dataset.json "
                f"says {window_samples}"
            )
    return Shard(path, footer)


def _is_in(table: pa.Table, split: Split) -> npt.NDArray[np.bool_]:
    return table.column("split").to_numpy() == split
