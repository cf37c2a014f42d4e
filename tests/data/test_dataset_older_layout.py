"""The older layout: arrays beside a metadata Parquet, denoised files found through a JSON index."""

import json
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_datasets import WINDOW_SAMPLES, make_dataset, make_older_layout

from ppgssl.data.dataset import open_dataset
from ppgssl.data.schema import window_bytes
from ppgssl.errors import DatasetError


@pytest.mark.parametrize("single_array", [True, False])
def test_signals_and_denoised_signals_are_found(tmp_path: Path, single_array: bool):
    dataset = open_dataset(make_older_layout(tmp_path / "old", single_array=single_array))

    batch = next(dataset.split("train").batches(10, seed=None))

    expected = np.repeat(np.arange(4, dtype=np.float32)[:, None], WINDOW_SAMPLES, axis=1)
    assert (dataset.fs_hz, dataset.window_samples) == (5.0, WINDOW_SAMPLES)
    assert dataset.counts == {"train": 4, "val": 1, "test": 1}
    assert dataset.warnings == ()
    np.testing.assert_array_equal(batch.window_id, [0, 1, 2, 3])
    np.testing.assert_array_equal(batch.signal, expected)
    np.testing.assert_array_equal(batch.denoised, -expected)


def test_a_missing_denoised_file_falls_back_to_the_original_with_a_warning_and_a_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder = make_older_layout(tmp_path / "old", single_array=True, missing_denoised=2)

    with caplog.at_level(logging.WARNING):
        dataset = open_dataset(folder)
    batch = next(dataset.split("train").batches(10, seed=None))

    np.testing.assert_array_equal(batch.denoised[:, 0], [0, 1, -2, -3])
    assert dataset.manifest["denoised_missing"] == 2
    assert dataset.warnings[0].startswith("2 of 6 windows have no denoised file")
    assert "2 of 6 windows have no denoised file" in caplog.text


def test_the_order_is_the_same_lazily_and_in_memory(tmp_path: Path):
    dataset = open_dataset(make_older_layout(tmp_path / "old", num_windows=40, single_array=True))

    lazily = [batch.window_id for batch in dataset.split("train").batches(7, seed=0)]
    in_memory = dataset.split("train", in_memory=True).batches(7, seed=0)

    for one, other in zip(lazily, in_memory, strict=True):
        np.testing.assert_array_equal(one, other.window_id)


def test_without_a_split_column_a_subject_is_in_one_split_only(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", num_windows=60, single_array=True)
    metadata = pq.read_table(folder / "metadata.parquet").drop_columns(["split"])
    pq.write_table(metadata, folder / "metadata.parquet")

    dataset = open_dataset(folder)

    subjects = {
        split: set(dataset.split(split).metadata().column("subject_id").to_pylist())
        for split in dataset.counts
    }
    assert sum(len(names) for names in subjects.values()) == 30
    assert len(set.union(*subjects.values())) == 30


def test_without_subjects_neighbours_stay_together_and_the_user_is_warned(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", num_windows=10, single_array=True)
    ids = pa.table({"global_segment_idx": list(range(10))})
    pq.write_table(ids, folder / "metadata.parquet")

    dataset = open_dataset(folder)

    train = dataset.split("train").metadata().column("window_id").to_pylist()
    assert train == [0, 1, 2, 3, 4, 5, 6, 7]
    assert dataset.fs_hz == 125.0
    assert [warning.split(";")[0] for warning in dataset.warnings] == [
        "the metadata names no sampling rate",
        "the metadata names no subject",
    ]


@pytest.mark.parametrize("dtype", [np.float64, np.int16])
def test_other_number_types_become_float32(tmp_path: Path, dtype: type[np.generic]):
    folder = make_older_layout(tmp_path / "old", single_array=True)
    signals = np.load(folder / "signals.npy")
    np.save(folder / "signals.npy", signals.astype(dtype))

    batch = next(open_dataset(folder).split("train").batches(10, seed=None))

    assert batch.signal.dtype == np.float32
    np.testing.assert_array_equal(batch.signal[:, 0], [0, 1, 2, 3])


@pytest.mark.parametrize("name", ["../outside.npy", "/etc/passwd", "denoised/link.npy"])
def test_an_index_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str):
    folder = make_older_layout(tmp_path / "old", single_array=True)
    np.save(tmp_path / "outside.npy", np.zeros(WINDOW_SAMPLES, np.float32))
    (folder / "denoised" / "link.npy").symlink_to(tmp_path / "outside.npy")
    (folder / "denoised_index.json").write_text(json.dumps({"0": name}))

    with pytest.raises(DatasetError, match="lies outside the dataset"):
        open_dataset(folder)


@pytest.mark.parametrize("single_array", [True, False])
def test_a_truncated_signal_file_is_named(tmp_path: Path, single_array: bool):
    folder = make_older_layout(tmp_path / "old", single_array=single_array)
    path = folder / ("signals.npy" if single_array else "segments/segment_000003.npy")
    path.write_bytes(path.read_bytes()[:-8])

    with pytest.raises(DatasetError, match=rf"{path.name}: truncated"):
        list(open_dataset(folder).split("train").batches(4, seed=None))


def test_a_denoised_file_of_another_length_is_named(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", single_array=True)
    np.save(folder / "denoised" / "2.npy", np.zeros(WINDOW_SAMPLES - 1, np.float32))

    with pytest.raises(DatasetError, match=r"2\.npy: a window has 49 samples, the others have 50"):
        list(open_dataset(folder).split("train").batches(4, seed=None))


def test_pickled_data_is_refused(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", single_array=True)
    np.save(folder / "signals.npy", np.full((6, 2), {}, dtype=object), allow_pickle=True)

    with pytest.raises(DatasetError, match="pickled data is not read"):
        open_dataset(folder)


def test_windows_without_a_signal_are_counted_in_the_error(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", single_array=False)
    (folder / "segments" / "segment_000001.npy").unlink()
    (folder / "segments" / "segment_000004.npy").unlink()

    with pytest.raises(DatasetError, match=r"no signal for 2 of 6 windows \(first: 1\)"):
        open_dataset(folder)


def test_ids_beyond_the_array_are_refused(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", single_array=True)
    np.save(folder / "signals.npy", np.zeros((5, WINDOW_SAMPLES), np.float32))

    with pytest.raises(DatasetError, match="has 5 rows, but global_segment_idx runs from 0 to 5"):
        open_dataset(folder)


def test_a_window_with_nan_is_named(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", single_array=False)
    path = folder / "segments" / "segment_000002.npy"
    np.save(path, np.full(WINDOW_SAMPLES, np.nan, np.float32))

    with pytest.raises(DatasetError, match=r"segment_000002\.npy: a window holds NaN"):
        list(open_dataset(folder).split("train").batches(4, seed=None))


def test_decoded_windows_are_held_where_half_of_the_memory_takes_them(tmp_path: Path):
    folder = make_older_layout(tmp_path / "old", num_windows=6, single_array=True)
    num_bytes = 6 * window_bytes(WINDOW_SAMPLES)

    dataset = open_dataset(folder)

    assert dataset.pays_to_hold(2 * num_bytes)
    assert not dataset.pays_to_hold(2 * num_bytes - 1)
    assert not dataset.pays_to_hold(None)


def test_windows_that_lie_as_they_are_in_their_files_are_never_held(tmp_path: Path):
    make_dataset(tmp_path / "new")

    assert not open_dataset(tmp_path / "new").pays_to_hold(10**12)
