"""Checkpoints: complete or absent, damaged ones are named, and a full disk costs nothing."""

import errno
import json
import os
import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from runs import pulse_dataset, stop_after, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.errors import CheckpointError, CheckpointWriteError
from ppgssl.models.encoder_file import read_encoder
from ppgssl.training import checkpoint
from ppgssl.training.trainer import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses")


@pytest.fixture
def run(dataset, tmp_path) -> Path:
    train(tiny_config("training.epochs=1"), dataset, tmp_path / "run")
    return tmp_path / "run"


def test_the_encoder_comes_back_with_its_weights_and_what_it_was_trained_on(run):
    encoder, info = read_encoder(run)

    window = torch.randn(1, 1, 128)
    again, _ = read_encoder(run / "best" / "encoder.safetensors")
    assert torch.equal(encoder(window), again(window))
    assert not encoder.training
    assert (info.fs_hz, info.window_samples, info.embedding_dim) == (25.0, 128, 8)
    assert info.training["dataset"] == "pulses"


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_encoder_is_named(run, size: int):
    path = run / "best" / "encoder.safetensors"
    os.truncate(path, size if size >= 0 else path.stat().st_size - 1)

    with pytest.raises(CheckpointError, match=r"encoder\.safetensors is damaged"):
        read_encoder(run)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format_version": 99}'])
def test_an_encoder_description_that_is_damaged_is_named(run, content: str):
    (run / "best" / "encoder.json").write_text(content)

    with pytest.raises(CheckpointError, match=r"encoder\.json is damaged or of an unknown version"):
        read_encoder(run)


def test_an_architecture_that_the_weights_do_not_have_is_refused(run):
    path = run / "best" / "encoder.json"
    info = json.loads(path.read_text())
    info["architecture"]["latent_dim"] = 9
    path.write_text(json.dumps(info))

    with pytest.raises(CheckpointError, match="does not fit the architecture"):
        read_encoder(run)


def test_a_folder_without_an_encoder_says_what_was_expected(tmp_path):
    with pytest.raises(CheckpointError, match=r"expected a folder with encoder\.safetensors"):
        read_encoder(tmp_path)


@pytest.mark.parametrize("name", ["state.pt", "model.safetensors", "history.parquet"])
def test_resuming_from_a_truncated_file_is_refused_and_nothing_is_lost(dataset, tmp_path, name):
    run, config = tmp_path / "run", tiny_config()
    train(config, dataset, run, should_stop=stop_after(2))
    os.truncate(run / "last" / name, 200)

    with pytest.raises(CheckpointError, match="is damaged or of another architecture"):
        train(config, dataset, run, resume=True)

    assert (run / "last" / "encoder.safetensors").exists()


def test_resuming_from_an_incomplete_checkpoint_names_the_missing_file(dataset, tmp_path):
    run, config = tmp_path / "run", tiny_config()
    train(config, dataset, run, should_stop=stop_after(2))
    (run / "last" / "state.pt").unlink()

    with pytest.raises(CheckpointError, match=r"state\.pt is missing"):
        train(config, dataset, run, resume=True)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_a_pickle_in_place_of_the_state_is_never_run(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, config = tmp_path / "run", tiny_config()
    train(config, dataset, run, should_stop=stop_after(2))
    (run / "last" / "state.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))

    with pytest.raises(CheckpointError):
        train(config, dataset, run, resume=True)

    assert not (tmp_path / "exploded").exists()


def test_a_write_that_fails_halfway_leaves_the_earlier_checkpoint(dataset, tmp_path, monkeypatch):
    run, config = tmp_path / "run", tiny_config("training.epochs=4")
    train(config, dataset, run, should_stop=stop_after(4))
    before = {p.name: p.read_bytes() for p in (run / "last").iterdir()}
    write_through, written = checkpoint._write_through, []

    def full_after_two(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_through(path, content)

    monkeypatch.setattr(checkpoint, "_write_through", full_after_two)
    with pytest.raises(CheckpointWriteError, match=r"No space left.*free at least \d+ MB"):
        train(config, dataset, run, resume=True)
    monkeypatch.undo()

    assert {p.name: p.read_bytes() for p in (run / "last").iterdir()} == before
    assert [p for p in (run / "steps").iterdir() if p.name.startswith(".")] == []
    assert train(config, dataset, run, resume=True).stop_reason == "completed"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_is_really_full_keeps_the_last_checkpoint(dataset, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        with pytest.raises(CheckpointWriteError, match="No space left on device"):
            train(
                tiny_config("training.checkpoint_every_epochs=1", "training.epochs=9"),
                dataset,
                small / "run",
            )
        encoder, _ = read_encoder(small / "run" / "last")
        assert encoder(torch.randn(1, 1, 128)).shape == (1, 8)
    finally:
        subprocess.run(["umount", str(small)], check=True)
