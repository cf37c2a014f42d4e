"""Bulk embedding: every window once, in order, also where a run was interrupted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ppgssl.data.dataset import open_dataset
from ppgssl.data.recordings import find_recordings
from ppgssl.data.simulated import write_simulated
from ppgssl.errors import RecordingError
from ppgssl.inference import bulk
from ppgssl.inference.bulk import BulkProgress, BulkResult, StoppedError, embed_units
from ppgssl.inference.bulk_sources import Unit, dataset_units, folder_units, recording_units
from ppgssl.inference.encoder import PpgEncoder, load_encoder
from ppgssl.inference.granularity import Granularity


@pytest.fixture(scope="module")
def encoder(encoder_folder) -> PpgEncoder:
    return load_encoder(encoder_folder)


@pytest.fixture
def units(tmp_path: Path) -> list[Unit]:
    """Five recordings of half a minute."""
    folder = tmp_path / "recordings"
    write_simulated(folder, subjects=5, minutes=0.5, fs_hz=64, seed=0, on_subject=lambda _: None)
    return recording_units(find_recordings([folder]).refs, 10.0)


def run(
    units: list[Unit],
    encoder: PpgEncoder,
    out: Path,
    *,
    granularity: Granularity = Granularity.WINDOW,
    on_progress: Callable[[BulkProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> BulkResult:
    return embed_units(
        units,
        encoder,
        out,
        work=out.parent / "work",
        granularity=granularity,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def after(calls: int) -> Callable[[], bool]:
    """True from the given call on."""
    answers = iter([False] * calls)
    return lambda: next(answers, True)


def test_a_run_that_was_stopped_continues_with_what_it_had_not_finished(
    units, encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr(bulk, "PART_SAMPLES", 64 * 50)  # two recordings
    whole, resumed = tmp_path / "whole.parquet", tmp_path / "resumed.parquet"
    run(units, encoder, whole)
    with pytest.raises(StoppedError):
        run(units, encoder, resumed, should_stop=after(1))
    assert not resumed.exists()
    embedded = list[int]()
    monkeypatch.setattr(PpgEncoder, "embed_sound", noted(embedded))

    result = run(units, encoder, resumed)

    assert (result.windows, result.resumed) == (15, 6)
    assert sum(embedded) == 9
    assert pq.read_table(resumed).equals(pq.read_table(whole))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "recordings",
        "resumed.parquet",
        "whole.parquet",
    ]


def noted(embedded: list[int]):
    embed = PpgEncoder.embed_sound

    def embed_sound(self, windows, *rest):
        embedded.append(len(windows))
        return embed(self, windows, *rest)

    return embed_sound


def test_what_was_done_with_other_settings_is_done_anew(units, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(bulk, "PART_SAMPLES", 1)
    with pytest.raises(StoppedError):
        run(units, encoder, tmp_path / "out.parquet", should_stop=after(3))

    result = run(units, encoder, tmp_path / "out.parquet", granularity=Granularity.SEGMENT)

    assert (result.windows, result.resumed) == (15, 0)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 15 * 5


def test_progress_goes_from_nothing_to_all_and_never_back(units, encoder, tmp_path):
    told = list[BulkProgress]()

    run(units, encoder, tmp_path / "out.parquet", on_progress=told.append)

    assert (told[0].units, told[0].windows) == (0, 0)
    assert (told[-1].units, told[-1].of_units, told[-1].windows) == (5, 5, 15)
    assert told == sorted(told, key=lambda progress: (progress.units, progress.windows))


def test_a_recording_that_cannot_be_read_is_told_and_the_others_are_embedded(
    units, encoder, tmp_path
):
    def fail():
        raise RecordingError("broken")

    units[1] = Unit("bad", "bad", fail)

    result = run(units, encoder, tmp_path / "out.parquet")

    assert (result.windows, result.unreadable) == (12, {"bad": "broken"})


def test_the_windows_of_a_dataset_are_embedded_as_they_are_cut(encoder, tmp_path, monkeypatch):
    from ppgssl.data.prepare import PrepareSettings, prepare

    folder = tmp_path / "recordings"
    write_simulated(folder, subjects=6, minutes=1, fs_hz=125, seed=0, on_subject=lambda _: None)
    refs = find_recordings([folder]).refs
    settings = PrepareSettings(window_seconds=10, fs_hz=125)
    prepare(refs, tmp_path / "data", settings, workers=1, progress=lambda _: None)
    dataset = open_dataset(tmp_path / "data")
    monkeypatch.setattr("ppgssl.inference.bulk_sources.UNIT_SAMPLES", 4 * 1250)

    run(folder_units(tmp_path / "data", 10.0, None), encoder, tmp_path / "out.parquet")

    rows = pq.read_table(tmp_path / "out.parquet")
    splits = [dataset.split(name) for name in ("train", "val", "test")]
    signal = np.concatenate(
        [batch.signal for windows in splits for batch in windows.batches(64, seed=None)]
    )
    assert len(dataset_units(dataset)) > len(splits)
    expected = encoder.embed(signal).embedding
    np.testing.assert_allclose(
        np.stack(rows["embedding"].to_numpy()), expected, rtol=1e-4, atol=1e-5
    )
    places = [row for windows in splits for row in windows.metadata()["start_s"].to_pylist()]
    assert rows["start_s"].to_pylist() == places


def test_recordings_behind_links_that_lead_out_of_the_folder_are_left_out(tmp_path):
    for name in ("inside", "outside"):
        write_simulated(
            tmp_path / name, subjects=1, minutes=0.5, fs_hz=64, seed=0, on_subject=lambda _: None
        )
    (source,) = (p for p in (tmp_path / "outside").iterdir() if p.suffix == ".parquet")
    (tmp_path / "inside" / "link.parquet").symlink_to(source)

    assert len(folder_units(tmp_path / "inside", 10.0, None)) == 1
