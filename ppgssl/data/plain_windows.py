"""Windows that lie in Parquet files as plain floats: copied from the mapped files, never decoded.

That is what `ppgssl prepare` writes. A batch is one gather out of the page cache, and the memory
that this takes is the batch. Files must not be cut short while they are read: the system would end
the process (SIGBUS).
"""

import mmap
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ppgssl.data.batch import WindowBatch
from ppgssl.data.page_headers import locate_rows
from ppgssl.data.parquet_windows import RowGroup, Shard, damaged, groups_of, metadata_of
from ppgssl.data.schema import FLOAT32_BYTES, SIGNAL_COLUMNS, Split

# Rows that are closer than this are fetched from the disk in one piece.
FETCH_GAP_BYTES = 2**20

UNKNOWN = -1


def are_plain(shards: Sequence[Shard], window_samples: int) -> bool:
    """Whether both signals of all shards are uncompressed floats in pages of whole windows."""
    return sys.byteorder == "little" and all(
        _is_plain(shard, name, window_samples) for shard in shards for name in SIGNAL_COLUMNS
    )


class PlainWindows:
    """A `RowSource` over plain shards; shards may mix splits."""

    def __init__(self, shards: Sequence[Shard], split: Split, window_samples: int) -> None:
        self.window_samples = window_samples
        self._split: Split = split
        self._shards = shards
        self._groups = [group for shard in shards for group in groups_of(shard, split)]
        self._paths = list(dict.fromkeys(group.shard.path for group in self._groups))
        number_of_path = {path: number for number, path in enumerate(self._paths)}
        self._path_of_group = np.array(
            [number_of_path[group.shard.path] for group in self._groups], np.int64
        )
        self._files = _MappedShards(self._paths)
        self._windows = self._files.windows_at_each_byte(window_samples)
        self.rows_per_group = [len(group.rows) for group in self._groups]
        self.largest_group = max((group.num_rows for group in self._groups), default=0)
        self._ends = np.cumsum(self.rows_per_group, dtype=np.int64)
        # Of both signals of each row, from the first mapped address. Those of a row group are
        # looked up when it is first read: its page headers lie beside what is then read anyway.
        num_rows = sum(self.rows_per_group)
        self._first_byte = np.full((len(SIGNAL_COLUMNS), num_rows), UNKNOWN, np.int64)

    def read_rows(self, rows: npt.NDArray[np.int64]) -> WindowBatch:
        """One copy of these rows of the split, counted in stored order.

        Raises:
            DatasetError: A file is damaged.
        """
        places = self._first_byte.take(rows, axis=1)
        if places.min(initial=0) == UNKNOWN:
            self._locate(rows)
            places = self._first_byte.take(rows, axis=1)
        gathered = self._windows[places].view(np.float32)
        signal, denoised = gathered.reshape(len(SIGNAL_COLUMNS), len(rows), self.window_samples)
        return WindowBatch(self._window_ids[rows], signal, denoised)

    def will_need(self, rows: npt.NDArray[np.int64]) -> None:
        """Let the system fetch these rows from the disk; returns before it has.

        Raises:
            DatasetError: A file is damaged.
        """
        if not hasattr(os, "posix_fadvise"):
            return
        self._locate(rows)
        path_of_row = self._path_of_group[self._group_of(rows)]
        row_bytes = FLOAT32_BYTES * self.window_samples
        for number in np.unique(path_of_row).tolist():
            of_path = rows[path_of_row == number]
            self._files.fetch(self._paths[number], self._first_byte[:, of_path], row_bytes)

    def metadata(self) -> pa.Table:
        """One row per window in stored order, all columns but the signals."""
        return metadata_of(self._shards, self._split)

    @cached_property
    def _window_ids(self) -> npt.NDArray[np.int64]:
        return self.metadata().column("window_id").to_numpy()

    def _group_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.searchsorted(self._ends, rows, side="right")

    def _locate(self, rows: npt.NDArray[np.int64]) -> None:
        unknown = rows[self._first_byte[0, rows] == UNKNOWN]
        for index in np.unique(self._group_of(unknown)).tolist():
            group = self._groups[index]
            stop = int(self._ends[index])
            of_group = slice(stop - len(group.rows), stop)
            try:
                located = self._files.locate(group, self.window_samples)
            except (OSError, ValueError) as error:
                raise damaged(group.shard.path, error) from error
            # The first signal last: it says to other threads that both are known.
            for signal in reversed(range(len(SIGNAL_COLUMNS))):
                self._first_byte[signal, of_group] = located[signal][group.rows]


class _MappedShards:
    """Files in memory; what lies in them is named by its distance from the first mapped address."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._maps = {path: _map(path) for path in paths}
        addresses = {
            path: np.frombuffer(map, np.uint8).ctypes.data for path, map in self._maps.items()
        }
        self._base = min(addresses.values(), default=0)
        self._first_byte = {path: address - self._base for path, address in addresses.items()}

    def windows_at_each_byte(self, window_samples: int) -> npt.NDArray[np.void]:
        """A view of all addresses; what lies between two files must not be touched."""
        row_bytes = FLOAT32_BYTES * window_samples
        ends = [self._first_byte[path] + len(mapped) for path, mapped in self._maps.items()]
        num_windows = max(ends, default=0) - row_bytes + 1
        if num_windows < 1:
            return np.empty(0, f"V{row_bytes}")
        return np.asarray(_Memory(self._base, num_windows, row_bytes, self._maps))

    def locate(self, group: RowGroup, window_samples: int) -> list[npt.NDArray[np.int64]]:
        """Where the rows of a row group begin, of each signal.

        Raises:
            ValueError: The file is damaged.
        """
        shard, footer = group.shard, group.shard.footer.row_group(group.row_group)
        chunks = [footer.column(_leaf(shard, name)) for name in SIGNAL_COLUMNS]
        return [
            self._first_byte[shard.path]
            + locate_rows(
                self._maps[shard.path],
                chunk.data_page_offset,
                chunk.total_compressed_size,
                num_rows=footer.num_rows,
                row_values=window_samples,
            )
            for chunk in chunks
        ]

    def fetch(self, path: Path, starts: npt.NDArray[np.int64], num_bytes: int) -> None:
        """Ask the system for what lies in a file at these places, neighbours in one piece.

        Raises:
            DatasetError: The file cannot be read.
        """
        ordered = np.sort(starts - self._first_byte[path], axis=None)
        is_first = np.diff(ordered, prepend=-np.inf) > num_bytes + FETCH_GAP_BYTES
        firsts, lasts = ordered[is_first], ordered[np.append(is_first[1:], True)]
        try:
            with path.open("rb") as file:
                for first, length in zip(firsts, lasts - firsts + num_bytes, strict=True):
                    os.posix_fadvise(file.fileno(), first, length, os.POSIX_FADV_WILLNEED)
        except OSError as error:
            raise damaged(path, error) from error


class _Memory:
    """Addresses as NumPy takes them; keeps the files mapped for as long as they are in use."""

    def __init__(
        self, address: int, num_windows: int, row_bytes: int, maps: Mapping[Path, mmap.mmap]
    ) -> None:
        self._maps = maps
        self.__array_interface__ = {
            "version": 3,
            "data": (address, True),
            "shape": (num_windows,),
            "typestr": f"|V{row_bytes}",
            "strides": (1,),
        }


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def _is_plain(shard: Shard, name: str, window_samples: int) -> bool:
    """As far as the footer tells: with an offset index, Parquet wants pages to begin with rows."""
    index = _leaf(shard, name)
    column = shard.footer.schema.column(index)
    if (column.physical_type, column.max_definition_level, column.max_repetition_level) != (
        "FLOAT",
        1,  # a list that is there, of values that are there
        1,
    ):
        return False
    chunks: list[Any] = [
        shard.footer.row_group(group).column(index) for group in range(shard.footer.num_row_groups)
    ]
    return all(
        chunk.compression == "UNCOMPRESSED"
        and not chunk.has_dictionary_page
        and set(chunk.encodings) <= {"PLAIN", "RLE"}
        and chunk.has_offset_index
        for chunk in chunks
    )


def _leaf(shard: Shard, name: str) -> int:
    """Number of the Parquet column that holds the signal's values."""
    schema = shard.footer.schema
    paths = [schema.column(index).path for index in range(len(schema))]
    return next(index for index, path in enumerate(paths) if path.split(".")[0] == name)
