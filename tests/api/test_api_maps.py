"""Maps over HTTP: where windows lie, what they are coloured by, and every way to be refused."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from embedding_files import write_turning
from live_service import Service, make_dataset

from ppgssl.jobs.tables import Job

OF_THE_DATASET = [("r", 0.0), ("r", 10.0), ("elsewhere", 0.0), ("r", 500.0)]
"""The first two are the windows that `make_dataset` makes."""


def mapped_job(service: Service, folder: Path, refused: tuple[int, ...] = ()) -> Job:
    windows = [*OF_THE_DATASET, ("last", 0.0)]
    return service.embedded(write_turning(folder / "e.parquet", windows, refused=refused))


def test_windows_are_mapped_with_what_the_dataset_knows_of_them(service: Service, tmp_path: Path):
    make_dataset(service.settings.data_root / "made", labels={"hr_bpm": 61.5})
    job = mapped_job(service, tmp_path, refused=(4,))

    answer = service.http.get(f"/v1/jobs/{job.id}/map")

    found = answer.json()
    columns = found["columns"]
    x = np.array(found["x"])
    assert answer.status_code == 200, answer.text
    assert (found["method"], found["rows"], found["row"]) == ("pca", 5, [0, 1, 2, 3])
    assert np.diff(x) == pytest.approx([np.deg2rad(1)] * 3, rel=1e-2) or np.diff(x) == (
        pytest.approx([-np.deg2rad(1)] * 3, rel=1e-2)
    )
    assert columns["recording_id"] == {
        "kind": "groups",
        "names": ["elsewhere", "r"],
        "codes": [1, 1, 0, 1],
    }
    assert columns["subject_id"] == {"kind": "groups", "names": ["s"], "codes": [0, 0, -1, -1]}
    assert columns["hr_bpm"] == {"kind": "numbers", "values": [61.5, 61.5, None, None]}
    assert columns["start_s"]["values"] == [0.0, 10.0, 0.0, 500.0]
    assert not columns.keys() & {"row", "x", "y", "window_id"}


def test_a_map_is_made_once_and_coloured_by_its_own_columns_where_there_is_no_dataset(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = mapped_job(service, tmp_path)
    url = f"/v1/jobs/{job.id}/map"

    with ThreadPoolExecutor(4) as pool:
        answers = {answer.content for answer in pool.map(service.http.get, [url] * 4)}
    monkeypatch.setattr(sys, "executable", "/nothing/makes/another")
    later = service.http.get(url)

    [folder] = service.settings.job_folder(job.id).rglob("maps")
    assert answers == {later.content}
    assert later.json()["columns"].keys() == {"recording_id", "start_s", "quality"}
    assert [path.name for path in folder.iterdir()] == ["pca.parquet"]


def test_umap_that_is_not_installed_is_named(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "umap.py").write_text("raise ModuleNotFoundError('umap')")  # found before the real
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job = mapped_job(service, tmp_path)

    answer = service.http.get(f"/v1/jobs/{job.id}/map?method=umap")

    assert (answer.status_code, answer.json()["code"]) == (422, "no_map")
    assert "pip install 'ppgssl[umap]'" in answer.json()["detail"]


def test_too_few_windows_have_no_map_and_their_folder_is_not_told(service: Service, tmp_path: Path):
    job = mapped_job(service, tmp_path, refused=(0, 1))

    answer = service.http.get(f"/v1/jobs/{job.id}/map")

    assert (answer.status_code, answer.json()["code"]) == (422, "no_map")
    assert answer.json()["detail"] == (
        "embeddings.parquet has 3 windows with an embedding; a map needs 4"
    )


def test_where_there_is_nothing_to_map_it_is_said_why(service: Service):
    training, running = service.queue(), service.embed().job

    answers = [service.http.get(f"/v1/jobs/{job.id}/map") for job in (training, running)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (404, "embeddings_not_found"),
        (409, "job_state_conflict"),
    ]
