"""A pool on a Ray cluster does what one of this host does, also where workers die."""

import subprocess
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from mortal_work import MortalRef, die, load_mortally, squared

from ppgssl.data.prepare import DatasetSummary, PrepareSettings, prepare
from ppgssl.data.recordings import RecordingRef, find_recordings
from ppgssl.data.simulated import write_simulated
from ppgssl.errors import ConfigError, RecordingError, RunError
from ppgssl.inference.bulk import embed_units
from ppgssl.inference.bulk_slices import NamedEncoder, embed_in_slices
from ppgssl.inference.bulk_sources import find_units
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.granularity import Granularity
from ppgssl.inference.settings import EmbeddingSettings
from ppgssl.pools import on_ray
from ppgssl.pools.local import open_local_pool
from ppgssl.pools.on_ray import open_ray_pool
from ppgssl.pools.pool import OpenPool, Workplace


@pytest.fixture
def on_cluster(cluster: str) -> OpenPool:
    return lambda workers, place: open_ray_pool(workers, place, address=cluster)


@pytest.fixture
def refs(tmp_path: Path) -> list[RecordingRef]:
    """Six recordings of a minute."""
    folder = tmp_path / "recordings"
    write_simulated(folder, subjects=6, minutes=1, fs_hz=64, seed=0, on_subject=lambda _: None)
    return find_recordings([folder]).refs


def prepared(refs: list[RecordingRef], out: Path, open_pool: OpenPool) -> DatasetSummary:
    return prepare(
        refs,
        out,
        PrepareSettings(10.0),
        workers=None if open_pool is not open_local_pool else 1,
        progress=lambda _: None,
        open_pool=open_pool,
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_dataset_made_on_the_cluster_has_the_same_bytes_though_a_worker_was_killed(
    refs, on_cluster, tmp_path
):
    prepared(refs, tmp_path / "here", open_local_pool)
    trace = tmp_path / "died"
    known = {field.name: getattr(refs[2], field.name) for field in fields(RecordingRef)}
    refs[2] = MortalRef(**known, trace=trace)

    summary = prepared(refs, tmp_path / "there", on_cluster)

    assert trace.exists()
    assert summary.recordings == 6
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")


@pytest.mark.slow
def test_an_error_of_the_work_arrives_as_itself(on_cluster, tmp_path):
    place = Workplace([], tmp_path, [])

    with on_cluster(2, place) as pool:
        assert dict(pool.work_off(squared, [(2,), (4,)])) == {0: 4, 1: 16}
        with pytest.raises(RecordingError, match=r"^3 is odd$"):
            list(pool.work_off(squared, [(3,)]))


@pytest.mark.slow
def test_work_that_kills_whoever_does_it_ends_the_run(on_cluster, tmp_path):
    with (
        on_cluster(1, Workplace([], tmp_path, [])) as pool,
        pytest.raises(RunError, match="lost again and again"),
    ):
        list(pool.work_off(die, [()]))


@pytest.mark.slow
def test_a_host_that_does_not_see_the_recordings_is_named(on_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray, "PATIENCE_S", 0.0)
    recording = tmp_path / "recordings" / "r0.csv"
    recording.parent.mkdir()

    with (
        on_cluster(1, Workplace([], tmp_path / "out", [recording])) as pool,
        pytest.raises(RunError, match=rf"the host \S+ does not see {recording}"),
    ):
        list(pool.work_off(squared, [(2,)]))


def test_ray_that_is_not_installed_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)

    with (
        pytest.raises(ConfigError, match=r"pip install 'ppgssl\[ray\]'"),
        open_ray_pool(1, Workplace([], tmp_path, [])),
    ):
        pass


def test_a_client_s_address_is_refused(tmp_path):
    with (
        pytest.raises(ConfigError, match="run this on a host of the cluster"),
        open_ray_pool(1, Workplace([], tmp_path, []), address="ray://head:10001"),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("is_dataset", [False, True])
def test_embeddings_made_on_the_cluster_are_those_of_one_run_though_a_worker_was_killed(
    refs, cluster, encoder_folder, tmp_path, monkeypatch, is_dataset
):
    source, trace = tmp_path / "recordings", tmp_path / "died"
    if is_dataset:
        source = tmp_path / "data"
        prepared(refs, source, open_local_pool)
    monkeypatch.setattr("ppgssl.inference.bulk_slices.SLICE_SIZE", 1)
    units = find_units([source], EmbeddingSettings(), own_window_s=10.0, own_fs_hz=125.0).units
    units[0] = replace(units[0], load=partial(load_mortally, trace, units[0].load))
    encoder = load_encoder(encoder_folder)
    how = {"granularity": Granularity.WINDOW, "on_progress": lambda _: None}

    result = embed_in_slices(
        units,
        NamedEncoder(str(encoder_folder), "cpu", encoder.info),
        tmp_path / "there.parquet",
        work=tmp_path / "there",
        workers=None,
        open_pool=partial(open_ray_pool, address=cluster),
        **how,
    )
    embed_units(units, encoder, tmp_path / "here.parquet", work=tmp_path / "here", **how)

    assert trace.exists()
    assert result.rows == 36
    there, here = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("there", "here"))
    for name in ("recording_id", "start_s", "fault"):
        assert there[name].equals(here[name])
    vectors = [np.stack(table["embedding"].to_numpy()) for table in (there, here)]
    np.testing.assert_allclose(*vectors, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_commands_work_on_a_cluster(refs, cluster, tmp_path):
    recordings, data, out = (tmp_path / name for name in ("recordings", "data", "out.parquet"))
    on_ray = ["--engine", "ray", "--ray-address", cluster]

    ppgssl("prepare", recordings, "--out", data, "--window-seconds", "10", *on_ray)
    ppgssl("embed", data, "--encoder", "default", "--out", out, *on_ray)

    assert pq.read_metadata(out).num_rows == 36
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "out.parquet", "recordings"]


def ppgssl(*arguments: object) -> None:
    command = [sys.executable, "-m", "ppgssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
