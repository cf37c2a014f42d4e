"""`ppgssl search` and `ppgssl index`, as they are typed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FS_HZ = 125


def ppgssl(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ppgssl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answer(*arguments: object) -> dict:
    done = ppgssl(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pulses(*bpm: float) -> np.ndarray:
    beats = np.outer(bpm, np.arange(10 * FS_HZ) / FS_HZ / 60)
    return np.sin(2 * np.pi * beats).astype(np.float32)


@pytest.fixture(scope="module")
def embeddings(encoder_folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine windows of one file, from 50 to 130 bpm; the last one was refused."""
    folder = tmp_path_factory.mktemp("embeddings")
    windows = pulses(*range(50, 140, 10))
    windows[-1] = 1.0
    np.save(folder / "many.npy", windows)
    out = folder / "embeddings.parquet"
    done = ppgssl("embed", folder / "many.npy", "--encoder", encoder_folder, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def test_a_row_finds_the_others_nearest_first(embeddings: Path):
    found = answer("search", embeddings, "--row", 2, "-k", 4)

    (query,) = found["queries"]
    nearest = query["nearest"]
    assert (found["metric"], found["exact"], query["row"]) == ("cosine", True, 2)
    assert len({near["row"] for near in nearest} - {2, 8}) == 4
    assert [near["distance"] for near in nearest] == sorted(near["distance"] for near in nearest)
    assert nearest[0].keys() == {"row", "recording_id", "start_s", "distance", "quality"}


def test_a_file_of_windows_is_embedded_and_finds_its_equals(
    embeddings: Path, encoder_folder, tmp_path: Path
):
    np.save(tmp_path / "asked.npy", pulses(90, 60))

    query = ("--query", tmp_path / "asked.npy", "--encoder", encoder_folder)
    found = answer("search", embeddings, *query, "-k", 1, "--metric", "euclidean")

    assert [query["nearest"][0]["row"] for query in found["queries"]] == [4, 1]
    assert found["queries"][0]["nearest"][0]["distance"] == pytest.approx(0, abs=1e-3)


def test_an_index_answers_as_the_file_does(embeddings: Path, tmp_path: Path):
    built = answer("index", embeddings, "--out", tmp_path / "index")

    by_index = answer("search", embeddings, "--row", 2, "--index", tmp_path / "index")
    exact = answer("search", embeddings, "--row", 2)

    assert (built["windows"], built["recall"]) == (8, 1.0)
    assert not by_index["exact"]
    found, expected = (of["queries"][0]["nearest"] for of in (by_index, exact))
    assert [near["row"] for near in found] == [near["row"] for near in expected]


def test_people_get_a_table(embeddings: Path):
    done = ppgssl("search", embeddings, "--row", 2, "-k", 3)

    lines = [line for line in done.stdout.splitlines() if "at 0 s" in line]
    assert done.returncode == 0, done.stderr
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name the window asked about"),
        (("--row", 9), "rows 0 to 8, not 9"),
        (("--row", 8), "row 8 has no embedding; flat"),
        (("--recording", "nobody"), "no recording 'nobody'"),
        (("--row", 1, "-k", 0), "greater than or equal to 1"),
        (("--row", 1, "--index", "nowhere"), "there is no index in nowhere"),
        (("--query", "absent.npy"), "absent.npy"),
    ],
)
def test_what_cannot_be_answered_ends_with_exit_code_2(embeddings: Path, arguments, message: str):
    done = ppgssl("search", embeddings, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_another_encoder_s_embeddings_are_not_compared(embeddings: Path, tmp_path: Path):
    np.save(tmp_path / "asked.npy", pulses(90))

    done = ppgssl("search", embeddings, "--query", tmp_path / "asked.npy", "--encoder", "default")

    assert done.returncode == 2
    assert "different encoders" in done.stderr


def test_a_metric_that_is_not_the_index_s_is_refused(embeddings: Path, tmp_path: Path):
    answer("index", embeddings, "--out", tmp_path / "index", "--metric", "euclidean")

    options = ("--row", 1, "--index", tmp_path / "index", "--metric", "cosine")
    done = ppgssl("search", embeddings, *options)

    assert done.returncode == 2
    assert "the index was built for --metric euclidean" in done.stderr
