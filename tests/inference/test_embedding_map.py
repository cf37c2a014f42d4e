"""Maps of embeddings: two groups lie apart, everything stays in place, too little is refused."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ppgssl.cli.main import app
from ppgssl.errors import EmbeddingsError
from ppgssl.inference import embedding_map
from ppgssl.inference.embedding_file import EmbeddingFile, embeddings_schema, embeddings_writer
from ppgssl.inference.embedding_map import MapMethod, map_embeddings

WIDTH = 8


def two_groups(path: Path, *, each: int = 20, refused: int = 1) -> EmbeddingFile:
    """Windows of two recordings at opposite ends of one direction; the first rows are refused."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2 * each, WIDTH))
    vectors = noise + np.repeat([1.0, -1.0], each)[:, None] * np.eye(WIDTH)[0] * 5
    schema = embeddings_schema(WIDTH, "ab" * 32)
    rows = [None] * refused + vectors.astype(np.float32).tolist()
    columns = {
        "recording_id": ["broken"] * refused + ["a"] * each + ["b"] * each,
        "start_s": np.arange(len(rows)) * 10.0,
        "embedding": rows,
        "quality": np.ones(len(rows)),
        "fault": ["flat"] * refused + [None] * 2 * each,
    }
    with embeddings_writer(path, schema) as writer:
        writer.write_table(pa.table(columns, schema=schema))
    return EmbeddingFile.open(path)


def test_the_first_direction_is_that_in_which_they_differ_most(tmp_path: Path):
    found = map_embeddings(two_groups(tmp_path / "e.parquet"))

    x = found.places[:, 0]
    assert found.rows.tolist() == list(range(1, 41))  # the refused one has no place
    assert abs(x[:20].mean() - x[20:].mean()) == pytest.approx(10, abs=0.2)
    assert len(set(np.sign(x[:20]))) == 1


def test_of_many_windows_an_even_choice_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(embedding_map.WINDOWS_LIMIT, MapMethod.PCA, 10)

    found = map_embeddings(two_groups(tmp_path / "e.parquet", refused=0))

    assert found.rows.tolist() == list(range(0, 40, 4))


def test_too_few_windows_are_refused(tmp_path: Path):
    with pytest.raises(EmbeddingsError, match="has 2 windows with an embedding; a map needs 4"):
        map_embeddings(two_groups(tmp_path / "e.parquet", each=1))


def test_umap_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "umap", None)

    with pytest.raises(EmbeddingsError, match=r"pip install 'ppgssl\[umap\]'"):
        map_embeddings(two_groups(tmp_path / "e.parquet"), MapMethod.UMAP)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_umap_keeps_groups_together(tmp_path: Path):
    pytest.importorskip("umap")

    places = map_embeddings(two_groups(tmp_path / "e.parquet"), MapMethod.UMAP).places

    first, second = places[:20], places[20:]
    apart = np.linalg.norm(first.mean(0) - second.mean(0))
    assert apart > 2 * max(first.std(0).max(), second.std(0).max())


def test_the_command_writes_coordinates_beside_what_is_known_of_each_window(tmp_path: Path):
    two_groups(tmp_path / "e.parquet")
    out = tmp_path / "map.parquet"

    result = CliRunner().invoke(app, ["map", str(tmp_path / "e.parquet"), "--out", str(out)])

    table = pq.read_table(out)
    assert result.exit_code == 0, result.output
    assert "40 of 41 windows by pca" in result.output.replace("\n", "")
    assert table.column_names == ["row", "recording_id", "start_s", "quality", "x", "y"]
    assert table["recording_id"].to_pylist() == ["a"] * 20 + ["b"] * 20


def test_the_command_names_a_folder_that_is_missing(tmp_path: Path):
    two_groups(tmp_path / "e.parquet")
    out = tmp_path / "nowhere" / "map.parquet"

    result = CliRunner().invoke(app, ["map", str(tmp_path / "e.parquet"), "--out", str(out)])

    assert result.exit_code == 2
