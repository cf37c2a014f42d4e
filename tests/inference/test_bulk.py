"""Bulk embedding: every window once, in order, also where a run was interrupted."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ppgssl.data.dataset import open_dataset
from ppgssl.data.prepare import PrepareSettings, prepare
from ppgssl.data.recordings import find_recordings
from ppgssl.data.simulated import write_simulated
from ppgssl.errors import DatasetError, RecordingError
from ppgssl.inference import bulk
from ppgssl.inference.bulk import BulkProgress, BulkResult, StoppedError, embed_units
from ppgssl.inference.bulk_parts import take_over
from ppgssl.inference.bulk_sources import (
    Unit,
    check_units,
    dataset_units,
    find_units,
    recording_units,
)
from ppgssl.inference.encoder import PpgEncoder, load_encoder
from ppgssl.inference.granularity import Granularity
from ppgssl.inference.settings import EmbeddingSettings


@pytest.fixture(scope="module")
def encoder(encoder_folder) -> PpgEncoder:
    return load_encoder(encoder_folder)


@pytest.fixture
def units(tmp_path: Path) -> list[Unit]:
    """Five recordings of half a minute."""
    folder = tmp_path / "recordings"
    write_simulated(folder, subjects=5, minutes=0.5, fs_hz=64, seed=0, on_subject=lambda _: None)
    return recording_units(find_recordings([folder]).refs, 10.0)


def units_of(folder: Path) -> list[Unit]:
    found = find_units([folder], EmbeddingSettings(), own_window_s=10.0, own_fs_hz=125.0)
    return found.units


def run(
    units: list[Unit],
    encoder: PpgEncoder,
    out: Path,
    *,
    granularity: Granularity = Granularity.WINDOW,
    on_progress: Callable[[BulkProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> BulkResult:
    work = out.parent / "work"
    result = embed_units(
        units,
        encoder,
        out,
        work=work,
        granularity=granularity,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    shutil.rmtree(work)
    return result


def after(calls: int) -> Callable[[], bool]:
    """True from the given call on."""
    answers = iter([False] * calls)
    return lambda: next(answers, True)


def test_a_run_that_was_stopped_continues_with_what_it_had_not_finished(
    units, encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr(bulk, "PART_SAMPLES", 64 * 60)  # two recordings
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


def test_the_only_part_becomes_the_file_also_where_a_disk_knows_no_links(
    units, encoder, tmp_path, monkeypatch
):
    linked = list[Path]()
    link = os.link
    monkeypatch.setattr(os, "link", lambda part, name: (linked.append(name), link(part, name)))
    run(units, encoder, tmp_path / "linked.parquet")
    assert linked == [tmp_path / ".linked.parquet.partial"]

    def refuse(*_):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    result = run(units, encoder, tmp_path / "written.parquet")

    assert (result.rows, result.refused) == (15, 0)
    written, by_link = (pq.read_table(tmp_path / f"{n}.parquet") for n in ("written", "linked"))
    assert written.equals(by_link, check_metadata=True)


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

    assert told[0] == BulkProgress(units=0, of_units=5, windows=0, fraction=0.0)
    assert (told[-1].units, told[-1].of_units, told[-1].windows) == (5, 5, 15)
    assert told[-1].fraction == pytest.approx(1.0)
    assert told == sorted(told, key=lambda progress: (progress.fraction, progress.windows))


def test_a_recording_that_cannot_be_read_is_told_and_the_others_are_embedded(
    units, encoder, tmp_path
):
    def fail():
        raise RecordingError("broken")

    units[1] = Unit("bad", "bad", 1, fail, tmp_path)

    result = run(units, encoder, tmp_path / "out.parquet")

    assert (result.windows, result.unreadable) == (12, {"bad": "broken"})


def test_the_windows_of_a_dataset_are_embedded_as_they_are_cut(encoder, tmp_path, monkeypatch):
    folder = tmp_path / "recordings"
    write_simulated(folder, subjects=6, minutes=1, fs_hz=125, seed=0, on_subject=lambda _: None)
    refs = find_recordings([folder]).refs
    settings = PrepareSettings(window_seconds=10, fs_hz=125)
    prepare(refs, tmp_path / "data", settings, workers=1, progress=lambda _: None)
    dataset = open_dataset(tmp_path / "data")
    monkeypatch.setattr("ppgssl.inference.bulk_sources.UNIT_SAMPLES", 4 * 1250)

    run(units_of(tmp_path / "data"), encoder, tmp_path / "out.parquet")

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

    found = find_units(
        [tmp_path / "inside"],
        EmbeddingSettings(),
        own_window_s=10.0,
        own_fs_hz=125.0,
        within=tmp_path / "inside",
    )

    assert len(found.units) == 1
    assert "a link leads out of inside" in dict(found.skipped)[tmp_path / "inside" / "link.parquet"]


def test_what_another_run_finished_is_taken_over_and_left_as_it_was(
    units, encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr(bulk, "PART_SAMPLES", 1)
    for name, parts in (("first", 3), ("second", 1)):
        with pytest.raises(StoppedError):
            run(units, encoder, tmp_path / name / "out.parquet", should_stop=after(parts))
    works = [tmp_path / name / "work" for name in ("first", "second", "absent")]
    kept = {path: path.read_bytes() for path in works[0].glob("[0-9]*")}

    (tmp_path / "third").mkdir()
    take_over(works, tmp_path / "third" / "work")
    result = run(units, encoder, tmp_path / "third" / "out.parquet")
    run(units, encoder, tmp_path / "whole.parquet")

    assert (result.windows, result.resumed) == (15, 9)
    assert {path: path.read_bytes() for path in works[0].glob("[0-9]*")} == kept
    whole = (tmp_path / "whole.parquet").read_bytes()
    assert (tmp_path / "third" / "out.parquet").read_bytes() == whole


def test_rows_are_in_the_windows_order_though_batches_are_not(encoder, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, seconds in enumerate((25, 8, 31, 1)):  # ends of different lengths
        np.save(folder / f"r{number}.npy", rng.normal(size=125 * seconds).astype(np.float32))
    units = recording_units(find_recordings([folder], fs_hz=125.0).refs, 10.0)

    run(units, encoder, tmp_path / "out.parquet")

    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    places = [(row["recording_id"], row["start_s"]) for row in rows]
    assert places == [
        *(("r0", 0.0), ("r0", 10.0), ("r0", 20.0)),
        ("r1", 0.0),
        *(("r2", 0.0), ("r2", 10.0), ("r2", 20.0)),  # the second left over cannot be embedded
        ("r3", 0.0),
    ]
    last = np.load(folder / "r0.npy")[None, 2500:]
    np.testing.assert_allclose(
        rows[2]["embedding"], encoder.embed(last).embedding[0], rtol=1e-4, atol=1e-5
    )
    assert [row["fault"] is None for row in rows] == [True] * 7 + [False]
    assert rows[7]["fault"].startswith("too short")


def test_settings_of_recordings_are_refused_for_a_dataset(tmp_path):
    write_simulated(
        tmp_path / "in", subjects=1, minutes=0.5, fs_hz=125, seed=0, on_subject=lambda _: None
    )
    prepared = PrepareSettings(window_seconds=10, fs_hz=125)
    refs = find_recordings([tmp_path / "in"]).refs
    prepare(refs, tmp_path / "made", prepared, workers=1, progress=lambda _: None)
    settings = EmbeddingSettings(window_seconds=10)

    with pytest.raises(DatasetError, match="window_seconds is for recordings"):
        find_units([tmp_path / "made"], settings, own_window_s=10.0, own_fs_hz=125.0)
    with pytest.raises(DatasetError, match="window_seconds is for recordings"):
        check_units(tmp_path / "made", settings, own_fs_hz=125.0)


def test_a_folder_without_any_usable_recording_is_refused_with_reasons(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("nothing")

    with pytest.raises(
        RecordingError, match=r"no recordings in notes; .*a\.txt: no table of numbers"
    ):
        check_units(tmp_path / "notes", EmbeddingSettings(), own_fs_hz=125.0)
