"""The nearest windows, by hand-made vectors whose order is known and by plain comparison."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ppgssl.errors import EmbeddingsError
from ppgssl.inference import search
from ppgssl.inference.embedding_file import EmbeddingFile, embeddings_schema
from ppgssl.inference.search import Neighbour, find_nearest
from ppgssl.inference.search_index import MANIFEST, RECALL, VECTORS, SearchIndex, build_index
from ppgssl.inference.search_metric import Metric
from ppgssl.inference.search_queries import select_queries

PLANE = [("a", [1.0, 0.0]), ("a", [3.0, 0.1]), ("b", [0.0, 1.0]), ("b", None), ("c", [-1.0, 0.0])]
"""Recordings and embeddings; windows of ten seconds, side by side."""


def write(
    path: Path,
    rows: Sequence[tuple[str, Any]],
    *,
    encoder: str = "e",
    width: int = 2,
    group: int = 1000,
) -> EmbeddingFile:
    seen: dict[str, int] = {}
    records: list[dict[str, Any]] = []
    for name, vector in rows:
        start_s = 10.0 * seen.setdefault(name, 0)
        seen[name] += 1
        fault = "flat" if vector is None else None
        record = {"recording_id": name, "start_s": start_s, "embedding": vector, "fault": fault}
        records.append(record | {"quality": 0.5})
    table = pa.Table.from_pylist(records, schema=embeddings_schema(width, encoder))
    pq.write_table(table, path, row_group_size=group)
    return EmbeddingFile.open(path)


def random_file(path: Path, count: int, *, group: int = 1000) -> tuple[EmbeddingFile, np.ndarray]:
    """Windows of seven recordings around fifty centres; each eleventh was refused."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(50, 16))
    vectors = centres[rng.integers(50, size=count)] + 0.3 * rng.normal(size=(count, 16))
    vectors = vectors.astype(np.float32)
    rows = [(f"r{n % 7}", None if n % 11 == 0 else vectors[n]) for n in range(count)]
    return write(path, rows, width=16, group=group), vectors


def rows_of(found: list[list[Neighbour]]) -> list[list[int]]:
    return [[neighbour.row for neighbour in neighbours] for neighbours in found]


@pytest.fixture
def plane(tmp_path: Path) -> EmbeddingFile:
    return write(tmp_path / "plane.parquet", PLANE)


def test_by_angle_the_nearest_is_the_one_in_the_same_direction(plane: EmbeddingFile):
    (found,) = find_nearest(plane, select_queries(plane, row=0))

    assert [neighbour.row for neighbour in found] == [1, 2, 4]
    assert found[1:] == [
        Neighbour(2, "b", 0.0, pytest.approx(1.0), 0.5),
        Neighbour(4, "c", 0.0, pytest.approx(2.0), 0.5),
    ]


def test_by_distance_the_nearest_is_the_one_that_lies_closest(plane: EmbeddingFile):
    (found,) = find_nearest(plane, select_queries(plane, row=0), metric=Metric.EUCLIDEAN)

    assert [neighbour.row for neighbour in found] == [2, 4, 1]
    expected = [2**0.5, 2, (2**2 + 0.1**2) ** 0.5]
    assert [n.distance for n in found] == pytest.approx(expected, rel=1e-6)


def test_windows_of_the_same_recording_can_be_left_out(plane: EmbeddingFile):
    queries = select_queries(plane, recording_id="a")

    found = find_nearest(plane, queries, 2, exclude_same_recording=True)

    assert rows_of(found) == [[2, 4], [2, 4]]


def test_a_window_of_another_file_finds_its_equal(plane: EmbeddingFile, tmp_path: Path):
    other = write(tmp_path / "other.parquet", [("x", [0.0, 2.0])])

    (found,) = find_nearest(plane, select_queries(other), 1)

    assert found == [Neighbour(2, "b", 0.0, 0.0, 0.5)]


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("exclude", [False, True])
def test_blocks_and_row_groups_change_nothing(tmp_path: Path, monkeypatch, metric, exclude: bool):
    monkeypatch.setattr(search, "BLOCK_ROWS", 37)
    file, vectors = random_file(tmp_path / "many.parquet", 500, group=64)
    queries = select_queries(file, recording_id="r3")

    found = find_nearest(file, queries, 12, metric=metric, exclude_same_recording=exclude)

    for query, neighbours in zip(queries.rows, found, strict=True):
        expected = by_plain_comparison(vectors, int(query), metric, exclude=exclude)[:12]
        assert [n.row for n in neighbours] == [row for _, row in expected]
        distances = [distance for distance, _ in expected]
        assert [n.distance for n in neighbours] == pytest.approx(distances, abs=1e-6)
        assert [n.recording_id for n in neighbours] == [f"r{row % 7}" for _, row in expected]
        assert [n.start_s for n in neighbours] == [10.0 * (row // 7) for _, row in expected]


def by_plain_comparison(
    vectors: np.ndarray, query: int, metric: Metric, *, exclude: bool
) -> list[tuple[float, int]]:
    asked, found = vectors[query].astype(float), list[tuple[float, int]]()
    for row, vector in enumerate(vectors.astype(float)):
        if row == query or row % 11 == 0 or (exclude and row % 7 == query % 7):
            continue
        cosine = asked @ vector / (np.linalg.norm(asked) * np.linalg.norm(vector))
        distance = 1 - cosine if metric == Metric.COSINE else np.linalg.norm(asked - vector)
        found.append((float(distance), row))
    return sorted(found)


@pytest.mark.parametrize(("at_s", "row"), [(0.0, 0), (9.9, 0), (10.0, 1), (19.9, 1)])
def test_a_window_is_named_by_a_second_that_lies_in_it(plane: EmbeddingFile, at_s: float, row: int):
    queries = select_queries(plane, recording_id="a", at_s=at_s)

    assert queries.rows.tolist() == [row]


def test_refused_windows_are_not_asked_about(plane: EmbeddingFile):
    assert select_queries(plane).rows.tolist() == [0, 1, 2, 4]


def test_the_only_recording_of_a_file_need_not_be_named(tmp_path: Path):
    file = write(tmp_path / "one.parquet", [("x", [0.0, 1.0]), ("x", [1.0, 0.0])])

    assert select_queries(file, at_s=12).rows.tolist() == [1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"row": 5}, "rows 0 to 4, not 5"),
        ({"row": -1}, "rows 0 to 4, not -1"),
        ({"row": 3}, "row 3 has no embedding; flat"),
        ({"row": 1, "at_s": 1.0}, "not both"),
        ({"recording_id": "d"}, "no recording 'd'; there are a, b, c"),
        ({"at_s": 1.0}, "which recording"),
        ({"recording_id": "a", "at_s": 20.0}, "from 0 to 10 s, none that holds 20 s"),
        ({"recording_id": "a", "at_s": -1.0}, "none that holds -1 s"),
        ({"recording_id": "a", "at_s": float("nan")}, "none that holds nan s"),
    ],
)
def test_a_window_that_is_not_there_is_told(plane: EmbeddingFile, asked: Any, message: str):
    with pytest.raises(EmbeddingsError, match=message):
        select_queries(plane, **asked)


def test_a_file_that_tells_no_faults_has_refused_windows_all_the_same(plane: EmbeddingFile):
    pq.write_table(pq.read_table(plane.path).drop_columns("fault"), plane.path)

    with pytest.raises(EmbeddingsError, match="row 3 has no embedding; it is not said why"):
        select_queries(EmbeddingFile.open(plane.path), row=3)


def test_what_cannot_be_compared_is_refused(plane: EmbeddingFile, tmp_path: Path):
    wide = write(tmp_path / "wide.parquet", [("x", [1.0, 2.0, 3.0])], width=3)
    foreign = write(tmp_path / "foreign.parquet", [("x", [1.0, 2.0])], encoder="f")

    with pytest.raises(EmbeddingsError, match=r"of 3 numbers and .* of 2"):
        find_nearest(plane, select_queries(wide))
    with pytest.raises(EmbeddingsError, match="different encoders"):
        find_nearest(plane, select_queries(foreign))
    with pytest.raises(EmbeddingsError, match="at least 1 window, got 0"):
        find_nearest(plane, select_queries(plane), 0)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ppg": [1.0]}, "expected the columns recording_id, start_s, quality and embedding"),
        (
            {"recording_id": ["a"], "start_s": [0.0], "quality": [1.0], "embedding": [[1.0]]},
            "lists of numbers of one length",
        ),
    ],
)
def test_a_file_without_embeddings_is_refused(tmp_path: Path, columns: Any, message: str):
    pq.write_table(pa.table(columns), tmp_path / "other.parquet")

    with pytest.raises(EmbeddingsError, match=message):
        EmbeddingFile.open(tmp_path / "other.parquet")


def test_a_file_that_is_missing_damaged_or_empty_is_refused(tmp_path: Path):
    (tmp_path / "damaged.parquet").write_bytes(b"no Parquet")

    with pytest.raises(EmbeddingsError, match="there is no file"):
        EmbeddingFile.open(tmp_path / "absent.parquet")
    with pytest.raises(EmbeddingsError, match="is no Parquet file"):
        EmbeddingFile.open(tmp_path / "damaged.parquet")
    with pytest.raises(EmbeddingsError, match="has no rows"):
        write(tmp_path / "empty.parquet", [])


# ----------------------------------------------------------------------------------- with an index


@pytest.mark.parametrize("metric", Metric)
def test_an_index_finds_nearly_all_of_the_nearest_and_says_how_many(tmp_path: Path, metric: Metric):
    file, _ = random_file(tmp_path / "many.parquet", 4000)
    queries = select_queries(file, recording_id="r3")
    exact = find_nearest(file, queries, metric=metric)

    built = build_index(file, tmp_path / "index", metric=metric)
    found = SearchIndex.open(tmp_path / "index", file).find_nearest(queries)

    pairs = zip(rows_of(found), rows_of(exact), strict=True)
    recall = np.mean([len({*of} & {*by}) / 10 for of, by in pairs])
    assert built.recall >= RECALL
    assert recall >= RECALL - 0.01
    assert built.lists > built.probed
    assert (built.windows, built.metric) == (4000 - 364, metric)
    assert found[0][0].distance == pytest.approx(exact[0][0].distance, abs=1e-5)


def test_an_index_looks_further_where_what_it_found_is_left_out(tmp_path: Path):
    near = [("a", [1.0, 0.001 * n]) for n in range(300)]
    far = [("b", [-1.0, 0.001 * n]) for n in range(300)]
    file = write(tmp_path / "two.parquet", [*near, *far])
    build_index(file, tmp_path / "index", metric=Metric.EUCLIDEAN)
    queries = select_queries(file, row=7)

    index = SearchIndex.open(tmp_path / "index", file)
    (found,) = index.find_nearest(queries, 3, exclude_same_recording=True)
    (alone,) = index.find_nearest(queries, 600)

    assert [neighbour.row for neighbour in found] == [307, 306, 308]
    assert sorted(neighbour.row for neighbour in alone) == [*range(7), *range(8, 600)]


def test_an_index_of_another_file_is_refused(plane: EmbeddingFile, tmp_path: Path):
    build_index(plane, tmp_path / "index")

    changed = write(plane.path, [(name, vector) for name, vector in PLANE[:4]])

    with pytest.raises(EmbeddingsError, match=r"is not of .* as it is now"):
        SearchIndex.open(tmp_path / "index", changed)


def test_an_index_that_is_missing_or_damaged_is_refused(plane: EmbeddingFile, tmp_path: Path):
    index = tmp_path / "index"
    with pytest.raises(EmbeddingsError, match="there is no index in"):
        SearchIndex.open(index, plane)
    build_index(plane, index)
    (index / VECTORS).write_bytes(b"garbage")
    with pytest.raises(EmbeddingsError, match=r"vectors\.faiss is missing or damaged"):
        SearchIndex.open(index, plane)
    told = (index / MANIFEST).read_text()
    (index / MANIFEST).write_text(told.replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(EmbeddingsError, match="format version 2"):
        SearchIndex.open(index, plane)
    (index / MANIFEST).write_text("[]")
    with pytest.raises(EmbeddingsError, match=r"index\.json is damaged"):
        SearchIndex.open(index, plane)


def test_an_index_replaces_an_index_and_nothing_else(plane: EmbeddingFile, tmp_path: Path):
    build_index(plane, tmp_path / "index")
    (tmp_path / "folder").mkdir()

    build_index(plane, tmp_path / "index", metric=Metric.EUCLIDEAN)

    opened = SearchIndex.open(tmp_path / "index", plane)
    assert opened.manifest.metric == Metric.EUCLIDEAN
    with pytest.raises(EmbeddingsError, match="is no index"):
        build_index(plane, tmp_path / "folder")
    refused = write(tmp_path / "refused.parquet", [("a", None)])
    with pytest.raises(EmbeddingsError, match="no window has an embedding"):
        build_index(refused, tmp_path / "another")


def test_without_faiss_an_index_says_what_to_install(plane, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)

    with pytest.raises(ValueError, match=r"pip install 'ppgssl\[search\]'"):
        build_index(plane, tmp_path / "index")
