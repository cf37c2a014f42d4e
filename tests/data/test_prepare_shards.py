"""The same files whatever the workers, and wherever an earlier run was killed."""

import multiprocessing
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_recordings import MadeRef, many_refs

from ppgssl.data.cutting import cut_windows
from ppgssl.data.manifest import write_json
from ppgssl.data.parts import read_rows
from ppgssl.data.prepare import PrepareSettings, prepare
from ppgssl.data.schema import SPLITS
from ppgssl.data.shards import Part, plan_shards

NUM_REFS = 5
NUM_WRITES = 1 + 2 * NUM_REFS + 2  # the plan, rows and reports of the parts, two shards or more


def prepared(refs: Sequence[MadeRef], out: Path, *, workers: int) -> None:
    prepare(refs, out, PrepareSettings(10.0), workers=workers, progress=lambda _: None)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted") / "out"
    prepared(many_refs(NUM_REFS), out, workers=1)
    return files_of(out)


def prepare_until_killed(out: Path, num_writes: int) -> None:
    """Runs in a process of its own, which dies in the midst of a write."""
    left = num_writes

    def dying(write: Callable[..., Any]) -> Callable[..., Any]:
        def write_or_die(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(*args, **kwargs)

        return write_or_die

    with (
        mock.patch("ppgssl.data.parts.cut_windows", dying(cut_windows)),
        mock.patch.object(pq.ParquetWriter, "write_table", dying(pq.ParquetWriter.write_table)),
        mock.patch("ppgssl.data.parts.write_json", dying(write_json)),
    ):
        prepared(many_refs(NUM_REFS), out, workers=1)


@settings(max_examples=6, deadline=None)
@given(num_writes=st.integers(0, NUM_WRITES - 1), workers=st.sampled_from([1, 2]))
def test_a_preparation_killed_anywhere_and_continued_ends_with_the_same_files(
    uninterrupted: dict[str, bytes], num_writes: int, workers: int
):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        first = multiprocessing.get_context("fork").Process(
            target=prepare_until_killed, args=(out, num_writes)
        )
        first.start()
        first.join()
        assert first.exitcode == -signal.SIGKILL

        prepared(many_refs(NUM_REFS), out, workers=workers)

        assert files_of(out) == uninterrupted


@given(
    parts=st.lists(st.tuples(st.sampled_from(SPLITS), st.integers(1, 30)), min_size=1),
    windows_per_shard=st.integers(1, 20),
)
def test_shards_hold_every_window_once_in_the_order_of_the_recordings(
    parts: list[tuple[Any, int]], windows_per_shard: int
):
    plans = plan_shards(
        [Part(index, split, windows) for index, (split, windows) in enumerate(parts)],
        windows_per_shard,
    )

    window_ids: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for plan in sorted(plans, key=lambda plan: plan.number):
        assert 1 <= plan.num_windows <= windows_per_shard
        for piece in plan.pieces:
            window_ids[plan.split] += [
                (piece.index, piece.first + row, piece.first_window_id + row)
                for row in range(piece.count)
            ]
    expected: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    window_id = 0
    for index, (split, windows) in enumerate(parts):
        for row in range(windows):
            expected[split].append((index, row, window_id))
            window_id += 1
    assert window_ids == expected
    for split in window_ids:
        sizes = [
            plan.num_windows
            for plan in sorted(plans, key=lambda plan: plan.number)
            if plan.split == split
        ]
        assert all(size == windows_per_shard for size in sizes[:-1])


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5), data=st.data())
def test_rows_of_a_part_are_read_from_any_place(sizes: list[int], data: st.DataObject):
    begin = data.draw(st.integers(0, sum(sizes) - 1))
    number = data.draw(st.integers(1, sum(sizes) - begin))
    rows = pa.table({"x": range(sum(sizes))})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "part.arrow")
        with pa.ipc.new_file(str(path), rows.schema) as writer:
            start = 0
            for size in sizes:
                writer.write_table(rows.slice(start, size))
                start += size

        read = [value for table in read_rows(path, begin, number) for value in table["x"]]

    assert [value.as_py() for value in read] == list(range(begin, begin + number))
