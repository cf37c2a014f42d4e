"""Looking into datasets over HTTP: one of them, its quality, its windows, a window's signals."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from live_service import Service

from ppgssl.data.schema import windows_table
from ppgssl.data.writer import DatasetWriter

FS_HZ = 125.0
QUALITIES = [0.0, 0.52, 0.54, 1.0]


def write_ramps(folder: Path, *, samples: int = 1250) -> None:
    """Three training windows and one to validate on; window n is a ramp from n by 0.001."""
    ramps = np.arange(4)[:, None] + np.arange(samples, dtype=np.float32) / 1000
    rows = windows_table(
        signal=ramps.astype(np.float32),
        denoised=-ramps.astype(np.float32),
        recording_ids=["r0", "r0", "r0", "r1"],
        subject_ids=["s0", "s0", "s0", "s1"],
        start_s=[0.0, 10.0, 20.0, 0.0],
        valid_s=[samples / FS_HZ] * 4,
        sqi=QUALITIES,
        labels=pa.table({"hr_bpm": [60.0, None, float("nan"), 90.0]}),
    )
    labels = {"hr_bpm": pa.float64()}
    with DatasetWriter(folder, fs_hz=FS_HZ, window_samples=samples, labels=labels) as writer:
        writer.write(rows.slice(0, 3), "train")
        writer.write(rows.slice(3), "val")
        writer.finish()


@pytest.fixture
def ramps(service: Service) -> Service:
    write_ramps(service.settings.data_root / "ramps")
    return service


def test_one_dataset_is_described_as_in_the_list(ramps: Service):
    [listed] = ramps.http.get("/v1/datasets").json()["data"]

    assert ramps.http.get("/v1/datasets/ramps").json() == listed


def test_windows_are_counted_by_quality_in_twentieths(ramps: Service):
    counts = ramps.http.get("/v1/datasets/ramps/quality").json()["counts"]

    assert [(bin, count) for bin, count in enumerate(counts["train"]) if count] == [(0, 1), (10, 2)]
    assert counts["val"][19] == sum(counts["val"]) == 1


def test_windows_are_paged_in_stored_order(ramps: Service):
    first = ramps.http.get("/v1/datasets/ramps/windows", params={"limit": 2}).json()
    second = ramps.http.get("/v1/datasets/ramps/windows", params={"after": first["next"]}).json()

    windows = [*first["data"], *second["data"]]
    assert [window["start_s"] for window in windows] == [0, 10, 20]
    assert [window["labels"]["hr_bpm"] for window in windows] == [60, None, None]
    assert (first["has_more"], second["has_more"]) == (True, False)


def test_a_windows_signals_are_curves_over_its_seconds(ramps: Service):
    [held_out] = ramps.http.get("/v1/datasets/ramps/windows", params={"split": "val"}).json()[
        "data"
    ]

    window = ramps.http.get(f"/v1/datasets/ramps/windows/{held_out['window_id']}").json()

    assert (window["subject_id"], window["split"], window["samples"]) == ("s1", "val", 1250)
    assert len(window["signal"]) == len(window["denoised"]) == 1250
    assert window["signal"][250] == pytest.approx([2.0, 3.25])
    assert window["denoised"][250] == pytest.approx([2.0, -3.25])


def test_a_part_of_a_window_is_thinned_between_its_ends(ramps: Service):
    [window_id] = [
        window["window_id"]
        for window in ramps.http.get("/v1/datasets/ramps/windows").json()["data"]
        if window["start_s"] == 10
    ]

    part = ramps.http.get(
        f"/v1/datasets/ramps/windows/{window_id}",
        params={"from_s": 2, "to_s": 6, "max_points": 50},
    ).json()

    assert part["signal"][0] == pytest.approx([2.0, 1.25])
    assert part["signal"][-1] == pytest.approx([6.0, 1.75])
    assert len(part["signal"]) <= 50


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/datasets/nowhere", "dataset_not_found"),
        ("/v1/datasets/nowhere/quality", "dataset_not_found"),
        ("/v1/datasets/ramps/windows/99", "window_not_found"),
    ],
)
def test_what_is_not_there_is_not_found(ramps: Service, path: str, code: str):
    answer = ramps.http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize("to_s", ["100", "1e308", "inf"])
def test_a_part_ends_with_the_window_however_far_it_was_asked_for(ramps: Service, to_s: str):
    [window, *_] = ramps.http.get("/v1/datasets/ramps/windows").json()["data"]

    part = ramps.http.get(
        f"/v1/datasets/ramps/windows/{window['window_id']}", params={"from_s": 9, "to_s": to_s}
    ).json()

    assert part["signal"][-1][0] == pytest.approx(1249 / FS_HZ)


def test_a_part_beyond_the_windows_end_is_empty(ramps: Service):
    [window, *_] = ramps.http.get("/v1/datasets/ramps/windows").json()["data"]

    part = ramps.http.get(
        f"/v1/datasets/ramps/windows/{window['window_id']}", params={"from_s": 100}
    ).json()

    assert part["signal"] == []
