"""Bulk embedding in slices, by any workers, gives the rows that one process gives."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ppgssl.data.prepare import PrepareSettings, prepare
from ppgssl.data.recordings import find_recordings
from ppgssl.data.simulated import write_simulated
from ppgssl.errors import CheckpointError, RecordingError
from ppgssl.inference import bulk_slices
from ppgssl.inference.bulk import BulkProgress, embed_units
from ppgssl.inference.bulk_slices import NamedEncoder, Slice, cut_slices, embed_in_slices
from ppgssl.inference.bulk_sources import Unit, find_units
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.granularity import Granularity
from ppgssl.inference.settings import EmbeddingSettings
from ppgssl.pools.local import open_local_pool

in_slices = partial(
    embed_in_slices, granularity=Granularity.WINDOW, workers=1, open_pool=open_local_pool
)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Five of half a minute."""
    folder = tmp_path / "recordings"
    write_simulated(folder, subjects=5, minutes=0.5, fs_hz=64, seed=0, on_subject=lambda _: None)
    return folder


@pytest.fixture
def encoder(encoder_folder) -> NamedEncoder:
    return NamedEncoder(str(encoder_folder), "cpu", load_encoder(encoder_folder).info)


def units_of(folder: Path) -> list[Unit]:
    return find_units([folder], EmbeddingSettings(), own_window_s=10.0, own_fs_hz=125.0).units


def assert_same_rows(one: Path, other: Path) -> None:
    tables = [pq.read_table(path) for path in (one, other)]
    without = [table.drop_columns(["embedding", "quality"]) for table in tables]
    assert without[0].equals(without[1], check_metadata=True)
    for name in ("embedding", "quality"):
        values = [np.stack(table[name].to_numpy()) for table in tables]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 30_000, 10**9])
def test_slices_are_all_units_once_in_order(tmp_path, size, monkeypatch):
    monkeypatch.setattr(bulk_slices, "SLICE_SIZE", size)
    units = [Unit(str(n), str(n), 7_000, list, tmp_path) for n in range(20)]

    slices = cut_slices(units, tmp_path)

    assert [unit for one in slices for unit in one.units] == units
    assert len(slices) == {1: 20, 30_000: 5, 10**9: 1}[size]
    assert len({one.folder for one in slices}) == len(slices)


def test_nothing_is_one_slice_of_nothing(tmp_path):
    assert [one.units for one in cut_slices([], tmp_path)] == [[]]


@pytest.mark.parametrize("is_dataset", [False, True])
def test_slices_have_the_rows_of_one_run(
    recordings, encoder, encoder_folder, tmp_path, monkeypatch, is_dataset
):
    folder = recordings
    if is_dataset:
        folder = tmp_path / "data"
        refs = find_recordings([recordings]).refs
        prepare(refs, folder, PrepareSettings(10), workers=1, progress=lambda _: None)
        monkeypatch.setattr("ppgssl.inference.bulk_sources.UNIT_SAMPLES", 2 * 1250)
    monkeypatch.setattr(bulk_slices, "SLICE_SIZE", 1)
    units, told = units_of(folder), list[BulkProgress]()
    embed_units(
        units,
        load_encoder(encoder_folder),
        tmp_path / "one.parquet",
        work=tmp_path / "one",
        granularity=Granularity.WINDOW,
        on_progress=lambda _: None,
    )

    result = in_slices(
        units, encoder, tmp_path / "out.parquet", work=tmp_path / "work", on_progress=told.append
    )

    assert (result.windows, result.rows, result.refused, result.resumed) == (15, 15, 0, 0)
    assert_same_rows(tmp_path / "out.parquet", tmp_path / "one.parquet")
    assert [at.units for at in told] == list(range(len(units) + 1))
    assert (told[0].fraction, told[-1].fraction) == (0.0, 1.0)
    assert told[-1].windows == 15


def test_finished_slices_are_not_embedded_again(recordings, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(bulk_slices, "SLICE_SIZE", 1)
    units, embedded = units_of(recordings), list[str]()
    real = bulk_slices.embed_slice

    def noted(piece: Slice, *rest) -> None:
        embedded.append(piece.units[0].name)
        if len(embedded) == 3:
            raise KeyboardInterrupt
        real(piece, *rest)

    monkeypatch.setattr(bulk_slices, "embed_slice", noted)
    run = partial(in_slices, units, encoder, tmp_path / "out.parquet", work=tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        run(on_progress=lambda _: None)

    result = run(on_progress=lambda _: None)

    assert (result.windows, result.resumed) == (15, 6)
    names = [unit.name for unit in units]
    assert embedded == [*names[:3], *names[2:]]


def test_a_slice_of_unreadable_recordings_is_told_and_the_others_are_embedded(
    recordings, encoder, tmp_path, monkeypatch
):
    def fail():
        raise RecordingError("broken")

    monkeypatch.setattr(bulk_slices, "SLICE_SIZE", 1)
    units = units_of(recordings)
    units[1] = Unit("bad", "bad", 1, fail, tmp_path)
    run = partial(in_slices, encoder=encoder, out=tmp_path / "out.parquet")

    result = run(units, work=tmp_path / "work", on_progress=lambda _: None)

    assert (result.windows, result.unreadable) == (12, {"bad": "broken"})
    with pytest.raises(RecordingError, match="no recording could be read; bad: broken"):
        run([units[1]], work=tmp_path / "other", on_progress=lambda _: None)


def test_an_encoder_that_changed_meanwhile_is_refused(recordings, encoder, tmp_path):
    other = encoder.info.model_copy(update={"sha256": "0" * 64})

    with pytest.raises(CheckpointError, match="changed since the run began"):
        in_slices(
            units_of(recordings),
            NamedEncoder(encoder.source, "cpu", other),
            tmp_path / "out.parquet",
            work=tmp_path / "work",
            on_progress=lambda _: None,
        )
