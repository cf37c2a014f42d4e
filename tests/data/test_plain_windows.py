"""Windows copied from mapped files are those that a Parquet reader decodes from them."""

import itertools
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_datasets import MB_PER_WINDOW, WINDOW_SAMPLES, make_dataset

from ppgssl.data.batch import WindowBatch
from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.parquet_windows import ParquetWindows, open_shards
from ppgssl.data.plain_windows import PlainWindows, are_plain
from ppgssl.data.schema import windows_table
from ppgssl.data.windows import Windows
from ppgssl.data.writer import DatasetWriter
from ppgssl.errors import DatasetError

BUFFER_MB = 9.5 * MB_PER_WINDOW  # two row groups of four windows


def long_dataset(out: Path, window_samples: int, num_windows: int) -> Path:
    """Noise in windows that fill pages of a megabyte, over several shards."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((num_windows, window_samples), np.float32)
    rows = windows_table(
        signal=signal,
        denoised=-signal,
        recording_ids=["r"] * num_windows,
        subject_ids=["s"] * num_windows,
        start_s=np.zeros(num_windows),
        valid_s=np.ones(num_windows),
        sqi=np.ones(num_windows),
    )
    with DatasetWriter(out, fs_hz=125.0, window_samples=window_samples, shard_mb=16) as writer:
        writer.write(rows, "train")
        writer.finish()
    return out


@pytest.mark.parametrize(("window_samples", "num_windows"), [(75_000, 40), (1_250, 2_500)])
def test_windows_copied_are_the_windows_decoded(
    tmp_path: Path, window_samples: int, num_windows: int
):
    shards = open_shards(long_dataset(tmp_path, window_samples, num_windows), window_samples)
    rows = np.random.default_rng(1).permutation(num_windows)

    copied = Windows(PlainWindows(shards, "train", window_samples)).read_rows(rows)
    decoded = Windows(ParquetWindows(shards, "train", window_samples)).read_rows(rows)

    assert len(shards) > 1
    np.testing.assert_array_equal(copied.window_id, decoded.window_id)
    np.testing.assert_array_equal(copied.signal, decoded.signal)
    np.testing.assert_array_equal(copied.denoised, decoded.denoised)


@pytest.mark.parametrize("page_version", ["1.0", "2.0"])
def test_plain_pages_of_either_version_are_copied(
    tmp_path: Path, page_version: Literal["1.0", "2.0"]
):
    rewritten(tmp_path, page_version=page_version, compression="none")

    assert is_copied(open_dataset(tmp_path))
    assert_complete(open_dataset(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zstd"},
        {"compression": "none", "use_dictionary": True},
        {"compression": "none", "write_page_index": False},
        {"compression": "none", "use_byte_stream_split": ["signal.list.element"]},
    ],
)
def test_files_written_otherwise_are_decoded(tmp_path: Path, options: dict[str, Any]):
    rewritten(tmp_path, **options)

    assert not is_copied(open_dataset(tmp_path))
    assert_complete(open_dataset(tmp_path))


def rewritten(folder: Path, *, page_version: Literal["1.0", "2.0"] = "1.0", **options: Any) -> None:
    """A dataset of 30 windows as another program might have written it."""
    make_dataset(folder, {"train": 30})
    shard = folder / "windows-train-00000.parquet"
    options = {"use_dictionary": False, "write_page_index": True, **options}
    table = pq.read_table(shard)
    pq.write_table(table, shard, row_group_size=4, data_page_version=page_version, **options)


def is_copied(dataset: Dataset) -> bool:
    return are_plain(open_shards(dataset.path, WINDOW_SAMPLES), WINDOW_SAMPLES)


def assert_complete(dataset: Dataset) -> None:
    batches = list(dataset.split("train").batches(7, seed=0, buffer_mb=BUFFER_MB))
    ids = np.concatenate([batch.window_id for batch in batches])
    np.testing.assert_array_equal(np.sort(ids), np.arange(30))
    for batch in batches:
        expected = np.repeat(batch.window_id[:, None], WINDOW_SAMPLES, axis=1)
        np.testing.assert_array_equal(batch.signal, expected)
        np.testing.assert_array_equal(batch.denoised, -expected)


def test_the_windows_of_a_split_are_found_among_those_of_others(tmp_path: Path):
    make_dataset(tmp_path, {"train": 30, "val": 6})
    merged = [pq.read_table(path) for path in sorted(tmp_path.glob("windows-*.parquet"))]
    [train, val] = [tmp_path / f"windows-{name}-00000.parquet" for name in ("train", "val")]
    val.unlink()
    mixed = merged[0].slice(0, 3), merged[1].slice(0, 2), merged[0].slice(3), merged[1].slice(2)
    with pq.ParquetWriter(
        train, merged[0].schema, compression="none", use_dictionary=False, write_page_index=True
    ) as writer:
        for row_group in (mixed[:2], mixed[2:]):
            writer.write_table(pa.concat_tables(row_group))

    dataset = open_dataset(tmp_path)
    batch = next(dataset.split("val").batches(6, seed=None))

    assert is_copied(dataset)
    np.testing.assert_array_equal(batch.window_id, np.arange(30, 36))
    np.testing.assert_array_equal(batch.signal[:, 0], np.arange(30, 36))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("made") / "made", {"train": 30, "val": 6})


def windows_of(folder: Path, kind: str) -> Windows:
    if kind == "decoded":
        return Windows(ParquetWindows(open_shards(folder, WINDOW_SAMPLES), "train", WINDOW_SAMPLES))
    return open_dataset(folder).split("train", in_memory=kind == "in memory")


KINDS = ["copied", "decoded", "in memory"]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_read_in_any_order_and_more_than_once(folder: Path, kind: str):
    rows = np.array([29, 3, 3, 0])

    batch = windows_of(folder, kind).read_rows(rows)

    np.testing.assert_array_equal(batch.window_id, rows)
    np.testing.assert_array_equal(batch.denoised[:, -1], -rows)


@pytest.mark.parametrize("row", [-1, 30])
def test_a_row_that_there_is_not_is_refused(folder: Path, row: int):
    with pytest.raises(IndexError, match=f"row {row} of a split of 30 windows"):
        windows_of(folder, "copied").read_rows(np.array([0, row]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_says_which_rows_come_in_an_epoch(folder: Path, kind: str):
    windows = windows_of(folder, kind)

    order = windows.order(seed=1, epoch=2, buffer_mb=BUFFER_MB)
    batches = windows.batches(4, seed=1, epoch=2, buffer_mb=BUFFER_MB)

    np.testing.assert_array_equal(ids_of(batches), order)  # windows are numbered from 0 here


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(
    batch_size=st.integers(1, 9),
    processes=st.integers(1, 4),
    begun=st.integers(0, 5),
    read_ahead=st.integers(0, 2),
)
def test_processes_that_share_an_epoch_take_turns_and_leave_nothing_out(
    folder: Path, kind: str, batch_size: int, processes: int, begun: int, read_ahead: int
):
    windows = windows_of(folder, kind)
    whole = [
        batch.window_id.tolist()
        for batch in windows.batches(batch_size, seed=0, buffer_mb=BUFFER_MB)
    ]

    shares = [
        [
            batch.window_id.tolist()
            for batch in windows.batches(
                batch_size,
                seed=0,
                start_batch=begun + process,
                every=processes,
                buffer_mb=BUFFER_MB,
                read_ahead=read_ahead,
            )
        ]
        for process in range(processes)
    ]

    assert shares == [whole[begun + k :: processes] for k in range(processes)]


def test_small_batches_are_copied_together_and_large_ones_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    copied: list[int] = []
    read_rows = PlainWindows.read_rows

    def noted(source: PlainWindows, rows: npt.NDArray[np.int64]) -> WindowBatch:
        copied.append(len(rows))
        return read_rows(source, rows)

    monkeypatch.setattr(PlainWindows, "read_rows", noted)
    monkeypatch.setattr("ppgssl.data.windows.COPIED_BYTES", int(9.5e6 * MB_PER_WINDOW))

    for batch_size in (4, 12):
        list(open_dataset(folder).split("train").batches(batch_size, seed=0))

    assert copied == [8, 8, 8, 6, 12, 12, 6]


def test_batches_that_are_copied_together_can_be_written_to_one_by_one(folder: Path):
    first, second = itertools.islice(open_dataset(folder).split("train").batches(4, seed=None), 2)

    first.signal[:] = np.nan

    np.testing.assert_array_equal(second.signal[:, 0], np.arange(4, 8))


def test_a_damaged_page_is_named(tmp_path: Path):
    make_dataset(tmp_path, {"train": 30})
    shard = tmp_path / "windows-train-00000.parquet"
    footer = pq.read_metadata(shard).row_group(3)
    chunks = [footer.column(index) for index in range(footer.num_columns)]
    [chunk] = [chunk for chunk in chunks if chunk.path_in_schema == "denoised.list.element"]
    content = bytearray(shard.read_bytes())
    content[chunk.data_page_offset : chunk.data_page_offset + 8] = b"\xff" * 8
    shard.write_bytes(content)

    windows = open_dataset(tmp_path).split("train")

    assert len(windows.read_rows(np.arange(12)).signal) == 12
    with pytest.raises(DatasetError, match=r"windows-train-00000\.parquet: cannot be read"):
        windows.read_rows(np.array([12]))


def ids_of(batches: Any) -> npt.NDArray[np.int64]:
    return np.concatenate([batch.window_id for batch in batches])
