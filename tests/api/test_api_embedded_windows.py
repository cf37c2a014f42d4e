"""Single windows of what a job embedded, over HTTP: their signals, and the nearest others."""

from pathlib import Path

import numpy as np
import pytest
from embedding_files import ENCODER, WIDTH, write_turning
from live_service import Service, make_dataset

from ppgssl.data.recordings import find_recordings
from ppgssl.data.simulated import write_simulated
from ppgssl.jobs.tables import Job

FOUR = [("r", 0.0), ("r", 10.0), ("s", 0.0), ("t", 0.0)]


def embedded(service: Service, folder: Path, refused: tuple[int, ...] = ()) -> Job:
    return service.embedded(write_turning(folder / "e.parquet", FOUR, refused=refused))


def test_the_nearest_rows_are_those_at_the_smallest_angle(service: Service, tmp_path: Path):
    url = f"/v1/jobs/{embedded(service, tmp_path).id}/embeddings/windows/1/nearest"

    nearest = service.http.get(url, params={"k": 2}).json()["data"]
    others = service.http.get(url, params={"exclude_same_recording": True}).json()["data"]

    assert [found["row"] for found in nearest] == [0, 2]
    assert nearest[0] == {
        "row": 0,
        "recording_id": "r",
        "start_s": 0.0,
        "distance": pytest.approx(1 - np.cos(np.deg2rad(1)), abs=1e-6),
        "quality": 0.5,
    }
    assert [found["row"] for found in others] == [2, 3]


def test_embeddings_from_elsewhere_find_their_nearest_rows(service: Service, tmp_path: Path):
    url = f"/v1/jobs/{embedded(service, tmp_path).id}/embeddings/nearest"
    angles = np.deg2rad([2.1, -50])
    vectors = [[np.cos(a), np.sin(a), *[0.0] * (WIDTH - 2)] for a in angles]

    answer = service.http.post(url, json={"embeddings": vectors, "encoder_sha256": ENCODER, "k": 3})

    rows = [[found["row"] for found in each] for each in answer.json()["data"]]
    assert rows == [[2, 3, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"embeddings": [[1.0, 2.0]]}, "expected embeddings of 4 numbers"),
        (
            {"embeddings": [[1.0] * WIDTH], "encoder_sha256": "cd" * 32},
            "embed both with one encoder",
        ),
    ],
)
def test_embeddings_that_cannot_be_compared_are_refused(
    service: Service, tmp_path: Path, asked: dict[str, object], message: str
):
    url = f"/v1/jobs/{embedded(service, tmp_path).id}/embeddings/nearest"

    answer = service.http.post(url, json=asked)

    assert (answer.status_code, answer.json()["code"]) == (422, "embeddings_invalid")
    assert message in answer.json()["detail"]


def test_a_window_of_a_dataset_is_shown_with_what_is_stored_beside_it(
    service: Service, tmp_path: Path
):
    make_dataset(service.settings.data_root / "made", labels={"hr_bpm": 61.5})
    url = f"/v1/jobs/{embedded(service, tmp_path).id}/embeddings/windows"

    found = service.http.get(f"{url}/1", params={"from_s": 2, "to_s": 4}).json()

    assert (found["row"], found["recording_id"], found["start_s"]) == (1, "r", 10.0)
    assert (found["begin_s"], found["fs_hz"], found["samples"]) == (10.0, 125.0, 1250)
    assert (found["signal"][0], found["signal"][-1]) == ([2.0, 1.0], [4.0, 1.0])
    assert (found["known"]["window_id"], found["known"]["hr_bpm"]) == (1, 61.5)


def test_a_window_of_a_recording_is_read_from_the_recording(service: Service, tmp_path: Path):
    folder = service.settings.data_root / "made"
    write_simulated(folder, subjects=1, minutes=0.5, fs_hz=64, seed=0, on_subject=lambda _: None)
    [ref] = find_recordings([folder]).refs
    windows = [(ref.recording_id, 10.0 * number) for number in range(3)]
    job = service.embedded(write_turning(tmp_path / "e.parquet", windows))

    found = service.http.get(f"/v1/jobs/{job.id}/embeddings/windows/1").json()

    samples = ref.load().signal[640:1280]
    assert (found["fs_hz"], found["samples"], found["begin_s"]) == (64.0, 640, 10.0)
    assert [value for _, value in found["signal"]] == pytest.approx(samples.tolist())


def test_a_signal_that_is_gone_a_row_that_is_none_and_one_that_was_refused_are_told_apart(
    service: Service, tmp_path: Path
):
    make_dataset(service.settings.data_root / "made")
    job = embedded(service, tmp_path, refused=(3,))
    url = f"/v1/jobs/{job.id}/embeddings/windows"

    answers = [service.http.get(f"{url}/{path}") for path in ("2", "4", "4/nearest", "3/nearest")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (410, "signal_gone"),
        (404, "window_not_found"),
        (404, "window_not_found"),
        (422, "embeddings_invalid"),
    ]
    assert answers[3].json()["detail"] == "embeddings.parquet: row 3 has no embedding; flat"
