"""Writes a dataset folder: shards of row groups, `dataset.json` last.

A shard holds one split, so a reader of one split reads nothing of the others. Until `finish` the
folder has no `dataset.json` and no reader takes it for a dataset.
"""

import errno
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

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
        self._schema = dataset_schema(window_samples, labels or {})
        self._num_windows = 0
        per_group = windows_per_group(window_samples, row_group_mb)
        per_shard = max(1, int(shard_mb * 1e6) // window_bytes(window_samples))
        self._shards: dict[Split, _SplitShards] = {
            split: _SplitShards(out, split, self._schema, per_group, per_shard) for split in SPLITS
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
        window_ids = pa.array(range(self._num_windows, self._num_windows + len(rows)), pa.int64())
        self._num_windows += len(rows)
        rows = rows.append_column("window_id", window_ids)
        rows = rows.append_column("split", pa.array([split] * len(rows), pa.string()))
        self._shards[split].write(_conform(rows, self._schema))

    def finish(self, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Close the shards and write `dataset.json`; `details` are added to it.

        Returns:
            The manifest.
        """
        for shards in self._shards.values():
            shards.close()
        manifest = {
            "format_version": FORMAT_VERSION,
            "fs_hz": self._fs_hz,
            "window_samples": self._window_samples,
            "counts": {split: shards.num_windows for split, shards in self._shards.items()},
            "preprocessing": {},
            **(details or {}),
        }
        with full_disk_is_a_run_error(self._out):
            write_json(self._out / MANIFEST_NAME, manifest)
        return manifest


class _SplitShards:
    """The files of one split: rows are collected into row groups, row groups into shards."""

    def __init__(
        self, out: Path, split: Split, schema: pa.Schema, per_group: int, per_shard: int
    ) -> None:
        self.num_windows = 0
        self._out = out
        self._split: Split = split
        self._schema = schema
        self._per_group = per_group
        self._per_shard = per_shard
        self._pending: list[pa.Table] = []
        self._num_pending = 0
        self._writer: pq.ParquetWriter | None = None
        self._in_shard = 0
        self._num_shards = 0

    def write(self, rows: pa.Table) -> None:
        self.num_windows += len(rows)
        self._num_pending += len(rows)
        self._pending.append(rows)
        while self._num_pending >= self._per_group:
            self._write_group()

    def close(self) -> None:
        while self._num_pending:
            self._write_group()
        self._close_shard()

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._partial_path.unlink()

    @property
    def _path(self) -> Path:
        return self._out / f"windows-{self._split}-{self._num_shards:05d}.parquet"

    @property
    def _partial_path(self) -> Path:
        return self._path.with_name(f".{self._path.name}.partial")

    def _write_group(self) -> None:
        rows = pa.concat_tables(self._pending)
        group, rest = rows.slice(0, self._per_group), rows.slice(self._per_group)
        self._pending, self._num_pending = ([rest] if len(rest) else []), len(rest)
        with full_disk_is_a_run_error(self._out):
            if self._writer is None:
                self._writer = parquet_writer(self._partial_path, self._schema)
            self._writer.write_table(group, row_group_size=len(group))
        self._in_shard += len(group)
        if self._in_shard >= self._per_shard:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        with full_disk_is_a_run_error(self._out):
            self._writer.close()
        self._writer = None
        self._partial_path.replace(self._path)
        self._num_shards += 1
        self._in_shard = 0


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
