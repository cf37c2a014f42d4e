"""`training.batch_size: auto`: what is found, what a step stays, who is told."""

import pytest
import torch
from runs import pulse_dataset, tiny_config

from ppgssl.config import Config, load_config
from ppgssl.errors import ConfigError, OutOfMemoryError
from ppgssl.training import micro_batch_size
from ppgssl.training.checkpoint import read_config
from ppgssl.training.micro_batch_size import (
    fits_by_reckoning,
    fits_by_trial,
    largest_that_fits,
    refuse_to_find,
    with_found_micro_batch,
    with_micro_batch,
)
from ppgssl.training.trainer import train

AUTO = "training.batch_size=auto"


def up_to(most: int):
    def fits(config: Config) -> bool:
        return config.training.micro_batch <= most

    return fits


@pytest.mark.parametrize(
    ("holds", "accumulation", "found"), [(100, 4, (32, 1)), (9, 4, (8, 4)), (5, 3, (4, 6))]
)
def test_the_largest_that_fits_and_divides_the_step_is_taken(
    holds: int, accumulation: int, found: tuple[int, int]
):
    config = load_config(None, [AUTO, f"training.accumulation_steps={accumulation}"])

    training = largest_that_fits(config, up_to(holds)).training

    assert (training.micro_batch, training.accumulation_steps) == found
    assert training.windows_per_step == 8 * accumulation


def test_every_process_gets_a_micro_batch_of_its_own():
    config = load_config(None, [AUTO, "training.devices=4"])

    training = largest_that_fits(config, up_to(100)).training

    assert (training.micro_batch, training.accumulation_steps) == (8, 4)


def test_memory_that_holds_no_window_is_an_error_with_a_remedy():
    with pytest.raises(OutOfMemoryError, match=r"data\.window_seconds"):
        largest_that_fits(load_config(None, [AUTO]), up_to(0))


def test_on_a_cpu_half_of_the_free_memory_decides(monkeypatch: pytest.MonkeyPatch):
    config = load_config(None, [AUTO, "device=cpu"])
    monkeypatch.setattr(micro_batch_size, "available_memory", lambda: 6 * 10**9)

    found = with_found_micro_batch(config)

    twice = with_micro_batch(config, 2 * found.training.micro_batch)
    assert found.training.windows_per_step == 32
    assert fits_by_reckoning(found)
    assert not fits_by_reckoning(twice)


def test_a_trial_tells_a_want_of_memory_and_leaves_random_numbers_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    def too_large(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    config, before = tiny_config(), torch.get_rng_state()

    assert fits_by_trial(config)
    assert torch.equal(torch.get_rng_state(), before)
    monkeypatch.setattr(micro_batch_size, "train_step", too_large)
    assert not fits_by_trial(config)


def test_a_run_says_what_was_found_and_keeps_it(tmp_path, monkeypatch: pytest.MonkeyPatch):
    dataset = pulse_dataset(tmp_path / "data")
    config = tiny_config(AUTO, "training.epochs=1")
    monkeypatch.setattr(micro_batch_size, "fits_by_reckoning", up_to(4))
    train(config, dataset, tmp_path / "run")
    monkeypatch.setattr(micro_batch_size, "fits_by_reckoning", up_to(100))
    longer = tiny_config(AUTO, "training.epochs=2")
    train(longer, dataset, tmp_path / "run", resume=True)

    training = read_config(tmp_path / "run" / "last").training

    assert (training.batch_size, training.accumulation_steps) == (4, 4)


def test_where_somebody_else_starts_the_processes_a_number_is_needed():
    with pytest.raises(ConfigError, match="torchrun"):
        refuse_to_find(load_config(None, [AUTO]))
