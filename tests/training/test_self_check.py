"""Overfitting one batch tells a model that can learn from one that cannot, and disturbs nothing."""

import pyarrow.parquet as pq
import pytest
import torch
from runs import AS_DRAWN, Recorded, pulse_dataset, stop_after, tiny_config

from ppgssl.config import Config, load_config
from ppgssl.data.dataset import Dataset
from ppgssl.errors import SelfCheckError
from ppgssl.training.self_check import SelfCheck, crop, pick_windows, self_check
from ppgssl.training.trainer import never, train

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

ROOM_TO_LEARN = (
    "model.base_filters=16",
    "model.max_filters=64",
    "model.latent_dim=64",
    "model.bottleneck_dim=64",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses")


def check(config: Config, dataset: Dataset) -> SelfCheck:
    found = self_check(
        config, dataset.split("train"), device=torch.device("cpu"), should_stop=never
    )
    assert found is not None
    return found


@pytest.mark.parametrize("way", [["model.pooling=positional"], ["model.pose_channels=3"]])
def test_a_model_that_is_told_the_position_passes(dataset, way):
    found = check(tiny_config(*ROOM_TO_LEARN, *way), dataset)

    assert found.passed
    assert found.explained_variance >= 0.8
    assert found.message.startswith(f"self-check passed: after {found.steps} steps on 8 training")


def test_the_model_as_drawn_fails_with_cause_and_remedy(dataset):
    found = check(tiny_config(*AS_DRAWN), dataset)

    assert not found.passed
    assert found.steps == 200
    assert "mean pooling forgets where the beats are" in found.message


def test_the_same_config_finds_the_same_and_draws_no_random_number_of_the_caller(dataset):
    config = tiny_config(*ROOM_TO_LEARN, "model.pooling=positional")
    before = torch.get_rng_state()

    first = check(config, dataset)

    assert torch.equal(torch.get_rng_state(), before)
    assert check(config, dataset) == first


def test_a_request_to_stop_ends_the_check_without_a_finding(dataset):
    found = self_check(
        tiny_config(*AS_DRAWN),
        dataset.split("train"),
        device=torch.device("cpu"),
        should_stop=stop_after(2),
    )

    assert found is None


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.window_seconds=600", 2500),
        ("data.window_seconds=10", 1250),
        ("data.fs_hz=25", 1024),  # below, eight blocks of stride 512 have not two tokens
    ],
)
def test_long_windows_are_cropped_as_far_as_the_model_allows(override: str, expected: int):
    blocks = "model.num_blocks=8" if "fs_hz" in override else "model.num_blocks=4"

    assert crop(load_config(None, [override, blocks])).data.window_samples == expected


def test_few_long_or_eight_short_windows_are_picked(dataset):
    windows = dataset.split("train")

    batch = pick_windows(tiny_config(), windows)

    assert batch.signal.shape == batch.denoised.shape == (8, 128)


def test_a_run_that_checks_itself_computes_what_it_would_have_without(dataset, tmp_path):
    train(tiny_config(), dataset, tmp_path / "plain")
    train(tiny_config("training.self_check=warn"), dataset, tmp_path / "checked")

    histories = [
        pq.read_table(tmp_path / run / "last/history.parquet") for run in ("plain", "checked")
    ]
    assert histories[0].equals(histories[1])


def test_a_check_that_fails_is_a_warning_or_the_end(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("ppgssl.training.self_check.MOST_STEPS", 10)
    told = Recorded()
    config = tiny_config(*AS_DRAWN, "training.epochs=1")
    warn, fail = (
        config.model_copy(
            update={"training": config.training.model_copy(update={"self_check": mode})}
        )
        for mode in ("warn", "fail")
    )

    train(warn, dataset, tmp_path / "warned", reporter=told)
    with pytest.raises(SelfCheckError, match="self-check failed"):
        train(fail, dataset, tmp_path / "failed")

    assert any("self-check failed" in warning for warning in told.warnings)
    assert not (tmp_path / "failed/last").exists()


def test_a_resumed_run_is_not_checked_again(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("ppgssl.training.self_check.MOST_STEPS", 10)
    config = tiny_config(*AS_DRAWN, "training.self_check=warn", "training.epochs=1")
    train(config, dataset, tmp_path, should_stop=stop_after(2))
    told = Recorded()

    train(config, dataset, tmp_path, resume=True, reporter=told)

    assert not any("self-check" in warning for warning in told.warnings)
