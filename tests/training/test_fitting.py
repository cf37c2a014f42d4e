"""Training where memory runs out: smaller micro-batches, the same effective batch."""

import pytest
import torch
from runs import Recorded, pulse_dataset, stop_after, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.errors import OutOfMemoryError
from ppgssl.training import trainer
from ppgssl.training.checkpoint import read_config
from ppgssl.training.fitting import train_within_memory, with_smaller_micro_batch
from ppgssl.training.trainer import never, train

SHORTAGE = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses")


def let_memory_hold(monkeypatch: pytest.MonkeyPatch, windows: int, *, from_step: int = 1) -> None:
    """A device whose memory holds so many windows at a time, from some call on."""
    train_step, calls = trainer.train_step, iter(range(1, 1_000_000))

    def step(objective, micro_batches, *args, **kwargs):
        if next(calls) >= from_step and max(views.num_windows for views in micro_batches) > windows:
            raise SHORTAGE
        return train_step(objective, micro_batches, *args, **kwargs)

    monkeypatch.setattr(trainer, "train_step", step)


def fit(dataset: Dataset, out, told: Recorded, **kwargs):
    settings = {"reporter": told, "should_stop": never, **kwargs}
    return train_within_memory(tiny_config(), dataset, out, **settings)


def test_memory_that_runs_out_makes_micro_batches_smaller_and_a_step_no_smaller(
    dataset, tmp_path, monkeypatch
):
    let_memory_hold(monkeypatch, 1)
    told = Recorded()

    result = fit(dataset, tmp_path, told)

    used = read_config(tmp_path / "last").training
    assert (result.stop_reason, result.step) == ("completed", 6)
    assert (used.batch_size, used.accumulation_steps) == (1, 8)
    first, second = (warning for warning in told.warnings if warning.startswith("memory ran out"))
    assert "of 4 windows: the run goes on from its last checkpoint with 4 of 2, so that a" in first
    assert "of 2 windows: the run goes on from its last checkpoint with 8 of 1, so that a" in second


def test_memory_that_runs_out_midway_continues_from_the_last_checkpoint(
    dataset, tmp_path, monkeypatch
):
    let_memory_hold(monkeypatch, 2, from_step=5)  # the second step of the second epoch
    told = Recorded()

    fit(dataset, tmp_path, told)

    assert [plan.resumed_from_step for plan in told.plans] == [0, 3]
    assert {point.step for point in told.points} == {1, 2, 3, 4, 5, 6}


def test_a_run_that_was_given_smaller_micro_batches_keeps_them_when_it_resumes(dataset, tmp_path):
    smaller = tiny_config("training.batch_size=2", "training.accumulation_steps=4")
    train(smaller, dataset, tmp_path / "first", should_stop=stop_after(2))

    fit(dataset, tmp_path / "second", Recorded(), resume_from=tmp_path / "first/last")

    assert read_config(tmp_path / "second/last").training.batch_size == 2


def test_memory_that_does_not_hold_one_window_is_an_error_with_a_remedy(
    dataset, tmp_path, monkeypatch
):
    let_memory_hold(monkeypatch, 0)

    with pytest.raises(OutOfMemoryError, match=r"even one window.*Tried to.*data\.window_seconds"):
        fit(dataset, tmp_path, Recorded())


def test_other_errors_are_no_shortage(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "train_step", lambda *_, **__: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        fit(dataset, tmp_path, Recorded())


@pytest.mark.parametrize(("size", "expected"), [(8, 4), (6, 3), (9, 3), (5, 1)])
def test_a_smaller_micro_batch_keeps_the_effective_batch(size: int, expected: int):
    config = tiny_config(f"training.batch_size={size}", "training.accumulation_steps=2")

    smaller = with_smaller_micro_batch(config, "no memory")

    assert smaller.training.batch_size == expected
    assert smaller.training.windows_per_step == size * 2
