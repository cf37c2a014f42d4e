"""Writes a dataset folder: shards of row groups, `dataset.json` last.

    DatasetWriter ──► ShardWriter per split ──► windows-train-00000.parquet, ...

A shard holds one split, so a reader of one split reads nothing of the others. Until `finish` the
folder has no `dataset.json` and no reader takes it for a dataset.
"""

import errno
import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from ppgssl.data.manifest import FORMAT_VERSION, MANIFEST_NAME, write_json
from ppgssl.data.schema import (
    ROW_GROUP_MB,
    SPLITS,
    Split,
    dataset_schema,
    parquet_writer,
    window_bytes,
    windows_per_group,
)
from ppgssl.errors import DatasetError, RunError

SHARD_MB = 512.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a dataset are made.

    Attributes:
        schema: Of their rows.
        windows_per_group: Windows in a row group.
        windows_per_shard: Windows in a file, whole row groups.
    """

    schema: pa.Schema
    windows_per_group: int
    windows_per_shard: int


def make_layout(
    window_samples: int,
    labels: Mapping[str, pa.DataType] | None = None,
    *,
    row_group_mb: float = ROW_GROUP_MB,
    shard_mb: float = SHARD_MB,
) -> Layout:
    """The layout for windows of a length, with label columns of these types."""
    per_group = windows_per_group(window_samples, row_group_mb)
    groups = max(1, math.ceil(shard_mb * 1e6 // window_bytes(window_samples) / per_group))
    return Layout(dataset_schema(window_samples, labels or {}), per_group, groups * per_group)


def numbered(rows: pa.Table, first_window_id: int, split: Split, schema: pa.Schema) -> pa.Table:
    """Rows of `windows_table` as rows of the dataset; label columns they lack become null.

    Raises:
        DatasetError: A column is unknown or of another type than the dataset's.
    """
    window_ids = pa.array(range(first_window_id, first_window_id + len(rows)), pa.int64())
    rows = rows.append_column("window_id", window_ids)
    rows = rows.append_column("split", pa.array([split] * len(rows), pa.string()))
    return _conform(rows, schema)


class ShardWriter:
    """Writes one file, which has its name once it is whole.

    Use it as a context manager: leaving it through an exception removes the unfinished file. At
    most one row group is held in memory.
    """

    def __init__(self, out: Path, split: Split, number: int, layout: Layout) -> None:
        self._out = out
        self._path = out / f"windows-{split}-{number:05d}.parquet"
        self._partial_path = self._path.with_name(f".{self._path.name}.partial")
        self._per_group = layout.windows_per_group
        self._pending: list[pa.Table] = []
        self._num_pending = 0
        with full_disk_is_a_run_error(out):
            self._writer = parquet_writer(self._partial_path, layout.schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def write(self, rows: pa.Table) -> None:
        """Append rows of the dataset.

        Raises:
            RunError: The disk is full.
        """
        self._num_pending += len(rows)
        self._pending.append(rows)
        while self._num_pending >= self._per_group:
            self._write_group()

    def close(self) -> None:
        """Write what is left and give the file its name."""
        if self._num_pending:
            self._write_group()
        with full_disk_is_a_run_error(self._out):
            self._writer.close()
        self._partial_path.replace(self._path)

    def abandon(self) -> None:
        """Remove the unfinished file."""
        try:
            self._writer.close()
        finally:
            self._partial_path.unlink()

    def _write_group(self) -> None:
        rows = pa.concat_tables(self._pending)
        group, rest = rows.slice(0, self._per_group), rows.slice(self._per_group)
        self._pending, self._num_pending = ([rest] if len(rest) else []), len(rest)
        with full_disk_is_a_run_error(self._out):
            self._writer.write_table(group, row_group_size=len(group))


class DatasetWriter:
    """Numbers windows in the order they are written and lays them out for lazy reading.

    Use it as a context manager: leaving it through an exception removes the unfinished shards.
    At most one row group per split is held in memory.
    """

    def __init__(
        self,
        out: Path,
        *,
        fs_hz: float,
        window_samples: int,
        labels: Mapping[str, pa.DataType] | None = None,
        row_group_mb: float = ROW_GROUP_MB,
        shard_mb: float = SHARD_MB,
    ) -> None:
        if (out / MANIFEST_NAME).exists():
            raise DatasetError(f"{out} already holds a dataset; choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        self._out = out
        self._fs_hz = fs_hz
        self._window_samples = window_samples
        self._layout = make_layout(
            window_samples, labels, row_group_mb=row_group_mb, shard_mb=shard_mb
        )
        self._num_windows = 0
        self._shards: dict[Split, _SplitShards] = {
            split: _SplitShards(out, split, self._layout) for split in SPLITS
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for shards in self._shards.values():
            shards.abandon()

    def write(self, rows: pa.Table, split: Split) -> None:
        """Append windows made by `windows_table` to a split; label columns they lack become null.

        Raises:
            DatasetError: A column is unknown or of another type than the dataset's.
            RunError: The disk is full.
        """
        self._shards[split].write(numbered(rows, self._num_windows, split, self._layout.schema))
        self._num_windows += len(rows)

    def finish(self, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Close the shards and write `dataset.json`; `details` are added to it.

        Returns:
            The manifest.
        """
        for shards in self._shards.values():
            shards.close()
        return write_manifest(
            self._out,
            fs_hz=self._fs_hz,
            window_samples=self._window_samples,
            counts={split: shards.num_windows for split, shards in self._shards.items()},
            details=details or {},
        )


def write_manifest(
    out: Path,
    *,
    fs_hz: float,
    window_samples: int,
    counts: Mapping[Split, int],
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """Write `dataset.json`, which makes a folder of shards a dataset; `details` are added to it.

    Raises:
        RunError: The disk is full.
    """
    manifest = {
        "format_version": FORMAT_VERSION,
        "fs_hz": fs_hz,
        "window_samples": window_samples,
        "counts": {split: counts[split] for split in SPLITS},
        "preprocessing": {},
        **details,
    }
    with full_disk_is_a_run_error(out):
        write_json(out / MANIFEST_NAME, manifest)
    return manifest


class _SplitShards:
    """The files of one split, one after the other."""

    def __init__(self, out: Path, split: Split, layout: Layout) -> None:
        self.num_windows = 0
        self._out = out
        self._split: Split = split
        self._layout = layout
        self._shard: ShardWriter | None = None

    def write(self, rows: pa.Table) -> None:
        while len(rows):
            number, in_shard = divmod(self.num_windows, self._layout.windows_per_shard)
            if self._shard is None:
                self._shard = ShardWriter(self._out, self._split, number, self._layout)
            room = self._layout.windows_per_shard - in_shard
            fitting, rows = rows.slice(0, room), rows.slice(room)
            self._shard.write(fitting)
            self.num_windows += len(fitting)
            if len(fitting) == room:
                self.close()

    def close(self) -> None:
        if self._shard is not None:
            shard, self._shard = self._shard, None
            shard.close()

    def abandon(self) -> None:
        if self._shard is not None:
            self._shard.abandon()
            self._shard = None


@contextmanager
def full_disk_is_a_run_error(folder: Path) -> Generator[None]:
    """Say in one line that the disk is full, instead of a traceback from the writer."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise RunError(
            f"the disk is full while writing {folder}; free some space and run the same again"
        ) from error


def _conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    unknown = [name for name in rows.column_names if name not in schema.names]
    if unknown:
        raise DatasetError(f"column {unknown[0]!r} is none of the dataset's: {schema.names}")
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    try:
        return rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise DatasetError(f"windows do not fit the dataset's columns: {error}") from error
