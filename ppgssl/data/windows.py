"""One split of a dataset as batches, in an order that is the same however they are read.

Windows come as stored: nothing is normalised or augmented here.
"""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ppgssl.data.batch import GroupSource, RowSource, WindowBatch, WindowSource
from ppgssl.data.blocks import decode_blocks
from ppgssl.data.order import Block, plan_epoch, skip_windows, stored_rows
from ppgssl.data.schema import window_bytes
from ppgssl.errors import DatasetError

# Batches smaller than this are copied several at a time: each call costs 25 us beside the copy.
COPIED_BYTES = 2_000_000


class Windows:
    """The windows of one split. `len()` is their number."""

    def __init__(self, source: WindowSource, *, in_memory: bool = False) -> None:
        self._source = source
        self._in_memory = in_memory
        self._num_windows = sum(source.rows_per_group)

    def __len__(self) -> int:
        return self._num_windows

    @property
    def window_samples(self) -> int:
        """Samples in one window."""
        return self._source.window_samples

    def metadata(self) -> pa.Table:
        """One row per window in stored order: every column but `signal` and `denoised`."""
        return self._source.metadata()

    def read_one(self, row: int) -> WindowBatch:
        """The window at this place in stored order.

        Raises:
            IndexError: There is no such place.
            DatasetError: The file is damaged.
        """
        return self.read_rows(np.array([row]))

    def read_rows(self, rows: npt.NDArray[np.int64]) -> WindowBatch:
        """The windows at these places in stored order.

        Raises:
            IndexError: There is no such place.
            DatasetError: A file is damaged.
        """
        outside = rows[(rows < 0) | (rows >= len(self))]
        if len(outside):
            raise IndexError(f"row {outside[0]} of a split of {len(self)} windows")
        if isinstance(self._rows, RowSource):
            return self._rows.read_rows(rows)
        return _decode_rows(self._rows, rows)

    def order(
        self, *, seed: int | None, epoch: int = 0, buffer_mb: float = 256.0
    ) -> npt.NDArray[np.int64]:
        """The rows of an epoch, in the order in which `batches` hands them out.

        Raises:
            DatasetError: A row group is larger than the buffer.
        """
        return stored_rows(self._plan(seed, epoch, buffer_mb), self._source.rows_per_group)

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
        every: int = 1,
        buffer_mb: float = 256.0,
        read_ahead: int = 1,
    ) -> Iterator[WindowBatch]:
        """One pass over the split; the last batch may be smaller.

        Small batches are cut from pieces of up to 2 MB: who keeps one keeps its piece in memory.

        The order depends on (seed, epoch), `buffer_mb` and the dataset's layout only: it is the
        same lazily and in memory and with any `read_ahead`.

        Args:
            batch_size: Windows in a batch.
            seed: Shuffles; None keeps the stored order.
            epoch: Another epoch, another order.
            start_batch: Begin after this many batches, without reading the blocks before.
            every: Hand out each so-manieth batch only: of N processes that share an epoch, process
                k starts at batch k and takes every N-th.
            buffer_mb: Windows are shuffled within this much. Where they have to be decoded, at most
                twice as much is held.
            read_ahead: Threads that decode the next block, or have the system fetch it, while this
                one is handed out; 0 reads in line.

        Raises:
            ValueError: `batch_size` or `every` is below 1.
            DatasetError: A row group is larger than the buffer, or (while iterating) a file cannot
                be read.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        blocks = self._plan(seed, epoch, buffer_mb)
        blocks = skip_windows(blocks, start_batch * batch_size)
        if isinstance(self._rows, RowSource):
            return _gather(self._rows, blocks, batch_size, every=every, read_ahead=read_ahead > 0)
        batches = decode_blocks(self._rows, blocks, batch_size, read_ahead)
        return batches if every == 1 else itertools.islice(batches, 0, None, every)

    def _plan(self, seed: int | None, epoch: int, buffer_mb: float) -> list[Block]:
        per_block = int(buffer_mb * 1e6) // window_bytes(self.window_samples)
        largest = self._source.largest_group
        if largest > per_block:
            need_mb = largest * window_bytes(self.window_samples) / 1e6
            raise DatasetError(
                f"a row group holds {largest} windows ({need_mb:.1f} MB), more than the buffer of "
                f"{buffer_mb:g} MB; raise data.shuffle_buffer_mb, or write the files with smaller "
                "row groups"
            )
        return plan_epoch(
            self._source.rows_per_group, windows_per_block=per_block, seed=seed, epoch=epoch
        )

    @cached_property
    def _rows(self) -> WindowSource:
        """Where batches come from: the files, or all windows in memory."""
        return _HeldWindows(self._source) if self._in_memory else self._source


class _HeldWindows:
    """A `RowSource` in memory: everything that another source has."""

    def __init__(self, source: WindowSource) -> None:
        self.window_samples = source.window_samples
        self.rows_per_group = source.rows_per_group
        self.largest_group = source.largest_group
        self.metadata = source.metadata
        everything = np.arange(sum(source.rows_per_group))
        if isinstance(source, RowSource):
            self._held = source.read_rows(everything)
        else:
            self._held = _decode_rows(source, everything)

    def read_rows(self, rows: npt.NDArray[np.int64]) -> WindowBatch:
        """A copy of these rows."""
        batch = WindowBatch.empty(len(rows), self.window_samples)
        batch.take_from(self._held, rows)
        return batch

    def will_need(self, rows: npt.NDArray[np.int64]) -> None:
        """They are here."""


def _decode_rows(source: GroupSource, rows: npt.NDArray[np.int64]) -> WindowBatch:
    """Decode the row groups that hold these rows, one at a time."""
    batch = WindowBatch.empty(len(rows), source.window_samples)
    ends = np.cumsum(source.rows_per_group)
    group_of_row = np.searchsorted(ends, rows, side="right")
    for group in np.unique(group_of_row).tolist():
        size = source.rows_per_group[group]
        held = WindowBatch.empty(size, source.window_samples)
        source.read(group, held)
        places = np.flatnonzero(group_of_row == group)
        slots = rows[places] - (ends[group] - size)
        batch.window_id[places] = held.window_id[slots]
        batch.signal[places] = held.signal[slots]
        batch.denoised[places] = held.denoised[slots]
    return batch


def _gather(
    source: RowSource, blocks: Sequence[Block], batch_size: int, *, every: int, read_ahead: bool
) -> Iterator[WindowBatch]:
    """Batches straight from where they lie, while the system fetches the next block's rows.

    Small ones are copied together and lie side by side in the same memory.
    """
    rows = stored_rows(blocks, source.rows_per_group)
    is_asked_for = np.arange(len(rows)) // batch_size % every == 0
    block_of_row = np.repeat(np.arange(len(blocks)), [len(block.slots) for block in blocks])
    rows, block_of_row = rows[is_asked_for], block_of_row[is_asked_for]
    fetching = ThreadPoolExecutor(1, thread_name_prefix="ppgssl-read-ahead")
    fetched = -1
    batch_bytes = batch_size * window_bytes(source.window_samples)
    copied_rows = batch_size * max(1, COPIED_BYTES // batch_bytes)
    try:
        for start in range(0, len(rows), copied_rows):
            part = slice(start, start + copied_rows)
            while read_ahead and fetched <= block_of_row[part][-1]:
                fetched += 1
                fetching.submit(source.will_need, rows[block_of_row == fetched])
            copied = source.read_rows(rows[part])
            for first in range(0, len(copied), batch_size):
                yield copied.view(first, first + batch_size)
    finally:
        fetching.shutdown(wait=True, cancel_futures=True)
