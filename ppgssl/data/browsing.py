"""Looks into a dataset without training on it: what its windows are, how good, and single ones.

Reads the columns beside the signals, and of the signals one row group at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ppgssl.data.dataset import Dataset
from ppgssl.data.older_layout import ID_COLUMN
from ppgssl.data.schema import SPLITS, Split

QUALITY_BINS = 20


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """One window: every column beside the signals, and both signals (T,) as they are stored."""

    columns: dict[str, Any]
    signal: npt.NDArray[np.float32]
    denoised: npt.NDArray[np.float32]


def described_windows(dataset: Dataset, split: Split) -> pa.Table:
    """One row per window of a split in stored order, all columns but the signals.

    The columns `window_id` and `split` are there in every layout.
    """
    table = dataset.split(split).metadata()
    if ID_COLUMN in table.column_names:  # the older layout's name of window_id, which is there, too
        table = table.drop_columns(ID_COLUMN)
    if "split" not in table.column_names:
        table = table.append_column("split", pa.array([split] * len(table), pa.string()))
    return table


def find_window(dataset: Dataset, window_id: int) -> StoredWindow | None:
    """The window of this number; None where there is none.

    Raises:
        DatasetError: A file is damaged.
    """
    for split, table in _splits(dataset):
        rows = np.flatnonzero(table.column("window_id").to_numpy() == window_id)
        if len(rows):
            row = int(rows[0])
            [columns] = table.slice(row, 1).to_pylist()
            batch = dataset.split(split).read_one(row)
            return StoredWindow(columns, batch.signal[0], batch.denoised[0])
    return None


def find_window_at(dataset: Dataset, recording_id: str, at_s: float) -> StoredWindow | None:
    """The last window of a recording that holds this second of it; None: there is none.

    Raises:
        DatasetError: A file is damaged.
    """
    best: tuple[float, Split, int, dict[str, Any]] | None = None
    for split, table in _splits(dataset):
        if not {"recording_id", "start_s"} <= {*table.column_names}:
            return None
        starts_s = table["start_s"].to_numpy()
        is_of_it = table["recording_id"].to_numpy() == recording_id
        holds = is_of_it & (starts_s <= at_s) & (at_s < starts_s + dataset.window_s)
        for row in np.flatnonzero(holds).tolist():
            if best is None or starts_s[row] > best[0]:
                best = (starts_s[row], split, row, table.slice(row, 1).to_pylist()[0])
    if best is None:
        return None
    _, split, row, columns = best
    batch = dataset.split(split).read_one(row)
    return StoredWindow(columns, batch.signal[0], batch.denoised[0])


def windows_holding(
    dataset: Dataset, recording_ids: "pa.ChunkedArray[Any]", start_s: npt.NDArray[np.float64]
) -> pa.Table:
    """The described windows that moments of recordings lie in, in the moments' order.

    Where windows overlap it is the last one that begins by then. A moment that no window holds has
    a row of nulls; a dataset that does not say where its windows are from holds none.
    """
    windows = pa.concat_tables([table for _, table in _splits(dataset)], promote_options="default")
    if not {"recording_id", "start_s"} <= {*windows.column_names}:
        return windows.take(pa.nulls(len(start_s), pa.int64()))
    names = pa.chunked_array([*windows["recording_id"].chunks, *recording_ids.chunks], pa.string())
    codes = pc.index_in(names, pc.unique(names)).to_numpy()
    starts_s = np.concatenate([windows["start_s"].to_numpy(), start_s])
    is_moment = np.arange(len(starts_s)) >= len(windows)
    order = np.lexsort((is_moment, starts_s, codes))
    # The last window before each place in this order, of whichever recording it is.
    before = np.maximum.accumulate(np.where(is_moment[order], 0, np.arange(len(order))))
    held_by = np.empty(len(order), np.int64)
    held_by[order] = order[before]
    of_moments = held_by[len(windows) :]
    is_held = of_moments < len(windows)  # else it stands before all windows
    is_held &= codes[of_moments] == codes[len(windows) :]
    is_held &= start_s - starts_s[of_moments] < dataset.window_s
    return windows.take(pa.array(of_moments, pa.int64(), mask=~is_held))


def quality_histogram(dataset: Dataset) -> dict[Split, list[int]]:
    """Windows per twentieth of quality, 0 to 1, by split; nothing where no quality is stored."""
    return {
        split: _counts(table.column("sqi").to_numpy())
        for split, table in _splits(dataset)
        if "sqi" in table.column_names
    }


def _splits(dataset: Dataset) -> Iterator[tuple[Split, pa.Table]]:
    return ((split, described_windows(dataset, split)) for split in SPLITS if dataset.counts[split])


def _counts(quality: npt.NDArray[np.floating]) -> list[int]:
    counts, _ = np.histogram(quality, bins=QUALITY_BINS, range=(0, 1))
    return [int(count) for count in counts]
