"""Windows of a dataset, found again by recording and time."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from made_datasets import make_dataset, make_older_layout

from ppgssl.data.browsing import find_window, windows_holding
from ppgssl.data.dataset import open_dataset


def held(folder: Path, moments: list[tuple[str, float]]) -> list[int | None]:
    names = pa.chunked_array([[name for name, _ in moments]])
    starts_s = np.array([start_s for _, start_s in moments])
    found = windows_holding(open_dataset(folder), names, starts_s)
    return found["window_id"].to_pylist()


def test_each_moment_finds_the_window_that_it_lies_in_whatever_the_split(tmp_path: Path):
    folder = make_dataset(tmp_path / "made", {"train": 3, "val": 2})

    moments = [
        ("subject-val-r1", 10.0),
        ("subject-train-r1", 0.0),
        ("subject-train-r1", 19.9),
        ("subject-train-r1", 30.0),  # behind the last window
        ("subject-train-r1", -1.0),
        ("nobody", 0.0),
    ]

    assert held(folder, moments) == [4, 0, 1, None, None, None]


def test_a_window_of_the_older_layout_is_found(tmp_path: Path):
    folder = make_older_layout(tmp_path / "older", single_array=True)

    found = find_window(open_dataset(folder), 5)

    assert found is not None
    assert (found.columns["window_id"], found.signal[0], found.denoised[0]) == (5, 5.0, -5.0)
    assert "global_segment_idx" not in found.columns


def test_a_dataset_that_does_not_say_where_its_windows_are_from_finds_none(tmp_path: Path):
    folder = make_older_layout(tmp_path / "older", single_array=True)

    assert held(folder, [("s0", 0.0), ("s1", 0.0)]) == [None, None]
