"""Writing and opening dataset folders: what comes back, and what damaged ones say."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_datasets import MB_PER_WINDOW, WINDOW_SAMPLES, make_dataset, rows_of

from ppgssl.data.dataset import dataset_names, open_dataset, resolve_dataset
from ppgssl.data.writer import DatasetWriter
from ppgssl.errors import DatasetError


def test_windows_come_back_as_they_were_written(tmp_path: Path):
    dataset = open_dataset(make_dataset(tmp_path / "made"))

    batch = next(dataset.split("train").batches(30, seed=None))

    ids = np.arange(30, dtype=np.float32)[:, None]
    assert (dataset.name, dataset.fs_hz, dataset.window_samples) == ("made", 5.0, WINDOW_SAMPLES)
    assert dataset.labels == ("hr_bpm", "alarm")
    assert dataset.counts == {"train": 30, "val": 6, "test": 0}
    np.testing.assert_array_equal(batch.window_id, np.arange(30))
    np.testing.assert_array_equal(batch.signal, np.broadcast_to(ids, (30, WINDOW_SAMPLES)))
    np.testing.assert_array_equal(batch.denoised, -batch.signal)
    assert batch.signal.dtype == batch.denoised.dtype == np.float32


def test_metadata_has_one_row_per_window_of_the_split_and_no_signals(tmp_path: Path):
    dataset = open_dataset(make_dataset(tmp_path / "made"))

    metadata = dataset.split("val").metadata()

    assert metadata.column("window_id").to_pylist() == [30, 31, 32, 33, 34, 35]
    assert metadata.column("hr_bpm").to_pylist() == [90.0, 91.0, 92.0, 93.0, 94.0, 95.0]
    assert set(metadata.column("split").to_pylist()) == {"val"}
    assert not {"signal", "denoised"} & set(metadata.column_names)


def test_an_empty_split_has_no_windows_and_no_batches(tmp_path: Path):
    windows = open_dataset(make_dataset(tmp_path / "made")).split("test")

    batches = list(windows.batches(4, seed=0))

    assert len(windows) == 0
    assert batches == []
    assert len(windows.metadata()) == 0


def test_shards_of_mixed_splits_are_read_too(tmp_path: Path):
    folder = make_dataset(tmp_path / "made")
    tables = [pq.read_table(path) for path in sorted(folder.glob("windows-*.parquet"))]
    for path in folder.glob("windows-*.parquet"):
        path.unlink()
    mixed = pa.concat_tables(tables).sort_by([("hr_bpm", "descending")])
    pq.write_table(mixed, folder / "windows-0.parquet", row_group_size=7)

    train = open_dataset(folder).split("train")
    ids = np.concatenate([batch.window_id for batch in train.batches(4, seed=None)])

    np.testing.assert_array_equal(ids, np.arange(30)[::-1])


def test_a_shard_is_closed_when_it_is_large_enough(tmp_path: Path):
    writer = DatasetWriter(
        tmp_path / "made",
        fs_hz=5.0,
        window_samples=WINDOW_SAMPLES,
        labels={"hr_bpm": pa.float64(), "alarm": pa.string()},
        row_group_mb=2 * MB_PER_WINDOW * 1.001,
        shard_mb=4 * MB_PER_WINDOW * 1.001,
    )

    with writer:
        writer.write(rows_of(0, 10, "s1"), "train")
        writer.finish()

    names = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert names == [
        "dataset.json",
        "windows-train-00000.parquet",
        "windows-train-00001.parquet",
        "windows-train-00002.parquet",
    ]
    assert open_dataset(tmp_path / "made").counts["train"] == 10


def test_a_writer_left_by_an_exception_leaves_no_dataset_and_no_partial_file(tmp_path: Path):
    def fail_half_way() -> None:
        with DatasetWriter(tmp_path / "made", fs_hz=5.0, window_samples=WINDOW_SAMPLES) as writer:
            writer.write(rows_of(0, 4000, "s1").drop_columns(["hr_bpm", "alarm"]), "train")
            writer.write(rows_of(0, 20_000, "s1").drop_columns(["hr_bpm", "alarm"]), "train")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()

    assert list((tmp_path / "made").iterdir()) == []
    with pytest.raises(DatasetError, match=r"dataset\.json is missing"):
        open_dataset(tmp_path / "made")


def test_a_writer_does_not_overwrite_a_dataset(tmp_path: Path):
    folder = make_dataset(tmp_path / "made")

    with pytest.raises(DatasetError, match="already holds a dataset"):
        DatasetWriter(folder, fs_hz=5.0, window_samples=WINDOW_SAMPLES)


def test_a_label_of_another_type_than_the_datasets_is_refused(tmp_path: Path):
    labels = {"hr_bpm": pa.float64(), "alarm": pa.float64()}
    with (
        DatasetWriter(
            tmp_path / "made", fs_hz=5.0, window_samples=WINDOW_SAMPLES, labels=labels
        ) as writer,
        pytest.raises(DatasetError, match="do not fit"),
    ):
        writer.write(rows_of(0, 1, "s1"), "train")


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"absent: no such folder.*ppgssl prepare"):
        open_dataset(tmp_path / "absent")


def test_an_interrupted_preparation_says_how_to_finish_it(tmp_path: Path):
    (tmp_path / ".prepare").mkdir()

    with pytest.raises(DatasetError, match="interrupted; run the same"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.999])
def test_a_truncated_shard_is_named(tmp_path: Path, keep: float):
    folder = make_dataset(tmp_path / "made")
    shard = folder / "windows-train-00000.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])

    with pytest.raises(DatasetError, match=r"windows-train-00000\.parquet: cannot be read"):
        open_dataset(folder)


def test_a_shard_damaged_in_its_middle_is_named_when_it_is_read(tmp_path: Path):
    folder = make_dataset(tmp_path / "made", windows_per_group=30)
    shard = folder / "windows-train-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[4:2000] = b"\xff" * 1996
    shard.write_bytes(content)

    with pytest.raises(DatasetError, match=r"windows-train-00000\.parquet: cannot be read"):
        list(open_dataset(folder).split("train").batches(4, seed=0))


def test_a_missing_shard_is_noticed_by_the_count(tmp_path: Path):
    folder = make_dataset(tmp_path / "made")
    (folder / "windows-val-00000.parquet").unlink()

    with pytest.raises(DatasetError, match=r"counts 36 windows, .* hold 30"):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format_version is 99, this ppgssl reads 1"),
        ({"fs_hz": 0}, "fs_hz"),
        ({"window_samples": 49}, "50 samples a window, dataset.json says 49"),
        ({"counts": {"train": 30, "valid": 6}}, "unknown split 'valid'"),
    ],
)
def test_a_manifest_with_an_impossible_value_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
):
    folder = make_dataset(tmp_path / "made")
    manifest = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(manifest | change))

    with pytest.raises(DatasetError, match=message):
        open_dataset(folder)


def test_a_manifest_that_is_no_json_is_named(tmp_path: Path):
    folder = make_dataset(tmp_path / "made")
    (folder / "dataset.json").write_text('{"format_version": 1, "fs_')

    with pytest.raises(DatasetError, match=r"dataset\.json: not a readable JSON file"):
        open_dataset(folder)


def test_an_unknown_split_lists_those_there_are(tmp_path: Path):
    dataset = open_dataset(make_dataset(tmp_path / "made"))

    with pytest.raises(
        DatasetError, match=r"unknown split 'dev'; expected one of train, val, test"
    ):
        dataset.split("dev")


def test_names_below_the_data_root_are_resolved(tmp_path: Path):
    make_dataset(tmp_path / "first")
    make_dataset(tmp_path / "group" / "second")

    assert resolve_dataset(tmp_path, "first") == tmp_path / "first"
    assert resolve_dataset(tmp_path, "group/second") == tmp_path / "group" / "second"
    assert dataset_names(tmp_path) == ["first"]


@pytest.mark.parametrize("name", ["../outside", "first/../../outside", "/etc", "", ".", "linked"])
def test_a_name_that_leaves_the_data_root_is_refused(tmp_path: Path, name: str):
    root = tmp_path / "root"
    make_dataset(root / "first")
    make_dataset(tmp_path / "outside")
    (root / "linked").symlink_to(tmp_path / "outside")

    with pytest.raises(DatasetError, match="not a name below the data root; known: first"):
        resolve_dataset(root, name)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path):
    make_dataset(tmp_path / "first")
    make_dataset(tmp_path / "second")

    with pytest.raises(DatasetError, match="'third' does not exist; known: first, second"):
        resolve_dataset(tmp_path, "third")
