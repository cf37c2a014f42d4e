"""Which encoders are in memory, and for how long."""

from pathlib import Path

import pytest

from api.encoder_process import loaded_encoders
from api.encoder_process.loaded_encoders import LoadedEncoders
from ppgssl.errors import CheckpointError
from ppgssl.models.encoder_info import read_info


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that encoders were loaded from."""
    folders, load = list[str](), loaded_encoders.load_encoder

    def noted(source, device):
        folders.append(str(source))
        return load(source, device)

    monkeypatch.setattr(loaded_encoders, "load_encoder", noted)
    return folders


def trained(make_encoder, *base_filters: int) -> list[tuple[str, str]]:
    """Folder and sha256 of some encoders."""
    folders = [make_encoder(f"model.base_filters={filters}") / "best" for filters in base_filters]
    return [(str(folder), read_info(folder).sha256) for folder in folders]


def test_the_least_recently_used_encoder_leaves_when_memory_is_short(
    make_encoder, loads: list[str]
):
    a, b, c = trained(make_encoder, 2, 3, 4)
    all_kept = LoadedEncoders("cpu", cache_bytes=2**30)
    num_bytes = sum(all_kept.load(*each).num_bytes for each in (a, b, c))
    encoders = LoadedEncoders("cpu", cache_bytes=num_bytes - 1)
    loads.clear()

    for each in (a, b, a, c, a):
        encoders.load(*each)
    assert len(loads) == 3
    encoders.load(*b)

    assert len(loads) == 4


def test_an_encoder_is_at_hand_once_it_is_loaded(make_encoder, loads: list[str]):
    (folder, sha256), (_, other) = trained(make_encoder, 2, 3)
    encoders = LoadedEncoders("cpu", cache_bytes=2**30)
    assert encoders.at_hand(sha256) is None

    loaded = encoders.load(folder, sha256)

    assert encoders.at_hand(sha256) is loaded
    assert encoders.at_hand(other) is None
    assert loads == [folder]


def test_an_encoder_larger_than_the_cache_is_used_all_the_same(make_encoder, loads: list[str]):
    (one,) = trained(make_encoder, 2)
    encoders = LoadedEncoders("cpu", cache_bytes=0)

    assert encoders.load(*one) is encoders.load(*one)
    assert len(loads) == 1


def test_a_folder_that_holds_another_encoder_by_now_is_an_error(make_encoder):
    (folder, _), (_, other) = trained(make_encoder, 2, 3)

    with pytest.raises(CheckpointError, match="another encoder by now"):
        LoadedEncoders("cpu", cache_bytes=0).load(folder, other)


def test_a_folder_without_an_encoder_is_an_error(tmp_path: Path):
    with pytest.raises(CheckpointError, match="no encoder"):
        LoadedEncoders("cpu", cache_bytes=0).load(str(tmp_path), "ab")
