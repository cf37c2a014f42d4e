"""The order of windows: one answer per seed and epoch, however it is read, and little memory."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_datasets import MB_PER_WINDOW, WINDOW_SAMPLES, make_dataset

from ppgssl.data.batch import WindowBatch
from ppgssl.data.dataset import open_dataset
from ppgssl.data.order import plan_epoch, skip_windows, stored_rows
from ppgssl.data.windows import Windows
from ppgssl.errors import DatasetError

SMALL_BUFFER_MB = 9.5 * MB_PER_WINDOW  # two row groups of four windows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "made", {"train": 30, "val": 6})


def ids_of(
    folder: Path, *, in_memory: bool = False, batch_size: int = 4, **options: int | None
) -> npt.NDArray[np.int64]:
    windows = open_dataset(folder).split("train", in_memory=in_memory)
    arguments = {"seed": 0, "epoch": 0, **options}
    batches = windows.batches(batch_size, buffer_mb=SMALL_BUFFER_MB, **arguments)  # type: ignore[arg-type]
    return np.concatenate([np.empty(0, np.int64), *(batch.window_id for batch in batches)])


def test_every_window_comes_exactly_once(folder: Path):
    ids = ids_of(folder)

    np.testing.assert_array_equal(np.sort(ids), np.arange(30))
    assert not np.array_equal(ids, np.arange(30))


def test_every_window_keeps_its_own_signals_when_shuffled(folder: Path):
    windows = open_dataset(folder).split("train")

    for batch in windows.batches(4, seed=3, buffer_mb=SMALL_BUFFER_MB):
        expected = np.repeat(batch.window_id[:, None], WINDOW_SAMPLES, axis=1)
        np.testing.assert_array_equal(batch.signal, expected)
        np.testing.assert_array_equal(batch.denoised, -expected)


@pytest.mark.parametrize("read_ahead", [0, 1, 5])
def test_the_order_is_the_same_in_memory_and_with_any_read_ahead(folder: Path, read_ahead: int):
    lazily = ids_of(folder, read_ahead=read_ahead)
    in_memory = ids_of(folder, in_memory=True)

    np.testing.assert_array_equal(lazily, in_memory)


def test_the_batches_are_the_same_in_memory(folder: Path):
    dataset = open_dataset(folder)

    lazily = dataset.split("train").batches(7, seed=1, buffer_mb=SMALL_BUFFER_MB)
    in_memory = dataset.split("train", in_memory=True).batches(7, seed=1, buffer_mb=SMALL_BUFFER_MB)

    for one, other in zip(lazily, in_memory, strict=True):
        np.testing.assert_array_equal(one.signal, other.signal)
        np.testing.assert_array_equal(one.denoised, other.denoised)


def test_epochs_and_seeds_differ_and_repeat_themselves(folder: Path):
    orders = [ids_of(folder, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    again = ids_of(folder, seed=1, epoch=1)

    assert len({tuple(order) for order in orders}) == 4
    np.testing.assert_array_equal(again, orders[-1])


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("start_batch", [0, 1, 3, 7, 8, 100])
def test_starting_later_yields_exactly_the_tail(folder: Path, start_batch: int, in_memory: bool):
    whole = ids_of(folder)

    tail = ids_of(folder, start_batch=start_batch, in_memory=in_memory)

    np.testing.assert_array_equal(tail, whole[4 * start_batch :])


def test_the_last_batch_holds_what_is_left(folder: Path):
    windows = open_dataset(folder).split("train")

    sizes = [len(batch) for batch in windows.batches(8, seed=0)]

    assert sizes == [8, 8, 8, 6]


def test_a_batch_may_be_larger_than_the_buffer(folder: Path):
    assert len(ids_of(folder, batch_size=30)) == 30


def test_a_row_group_larger_than_the_buffer_is_refused_with_the_remedy(folder: Path):
    windows = open_dataset(folder).split("train")

    with pytest.raises(DatasetError, match=r"4 windows .* raise data\.shuffle_buffer_mb"):
        windows.batches(4, seed=0, buffer_mb=3.5 * MB_PER_WINDOW)


def test_a_batch_size_below_one_is_refused(folder: Path):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        open_dataset(folder).split("train").batches(0, seed=0)


@given(
    rows=st.lists(st.integers(1, 5), max_size=20),
    windows_per_block=st.integers(5, 12),
    seed=st.none() | st.integers(0, 2**31 - 1),
    epoch=st.integers(0, 1000),
    skipped=st.integers(0, 110),
)
def test_a_plan_visits_each_row_once_within_its_blocks_and_its_tail_is_its_tail(
    rows: list[int], windows_per_block: int, seed: int | None, epoch: int, skipped: int
):
    blocks = plan_epoch(rows, windows_per_block=windows_per_block, seed=seed, epoch=epoch)
    order = stored_rows(blocks, rows)

    tail = stored_rows(skip_windows(blocks, skipped), rows)

    assert sorted(order.tolist()) == list(range(sum(rows)))
    assert all(len(block.slots) <= windows_per_block for block in blocks)
    assert tail.tolist() == order.tolist()[skipped:]
    if seed is None:
        assert order.tolist() == list(range(sum(rows)))


class CountedSource:
    """A source of many windows that counts how many were asked for."""

    window_samples = WINDOW_SAMPLES
    rows_per_group: Sequence[int] = [4] * 100
    largest_group = 4

    def __init__(self, fail_at: int | None = None) -> None:
        self.groups_read: list[int] = []
        self._fail_at = fail_at
        self._lock = threading.Lock()

    def read(self, group: int, out: WindowBatch) -> None:
        with self._lock:
            self.groups_read.append(group)
        if group == self._fail_at:
            raise DatasetError("group 40 is damaged")
        out.window_id[:] = np.arange(4 * group, 4 * group + 4)

    def metadata(self) -> pa.Table:
        return pa.table({})


@pytest.mark.parametrize(("read_ahead", "blocks_held"), [(0, 1), (1, 2), (16, 2)])
def test_no_more_windows_are_held_than_two_buffers(read_ahead: int, blocks_held: int):
    source = CountedSource()
    windows_per_block = 8
    most_held = 0

    batches = Windows(source).batches(4, seed=0, buffer_mb=SMALL_BUFFER_MB, read_ahead=read_ahead)
    for handed_out, _ in enumerate(batches):
        most_held = max(most_held, 4 * len(source.groups_read) - 4 * handed_out)

    assert most_held <= blocks_held * windows_per_block
    assert len(source.groups_read) == 100


def test_starting_later_does_not_read_the_blocks_before():
    source = CountedSource()

    batches = Windows(source).batches(4, seed=0, start_batch=90, buffer_mb=SMALL_BUFFER_MB)
    num_batches = len(list(batches))

    assert num_batches == 10
    assert len(source.groups_read) == 10


def test_an_error_while_reading_ahead_reaches_the_caller_and_ends_the_threads():
    batches = Windows(CountedSource(fail_at=40)).batches(
        4, seed=0, buffer_mb=SMALL_BUFFER_MB, read_ahead=2
    )

    with pytest.raises(DatasetError, match="group 40 is damaged"):
        list(batches)

    assert not [thread for thread in threading.enumerate() if "read-ahead" in thread.name]


def test_leaving_a_pass_early_ends_the_threads():
    batches = Windows(CountedSource()).batches(4, seed=0, buffer_mb=SMALL_BUFFER_MB)

    next(batches)
    batches.close()  # type: ignore[attr-defined]

    assert not [thread for thread in threading.enumerate() if "read-ahead" in thread.name]
