"""What a run returns for a few held-out windows: on the disk after every epoch, and bounded."""

from pathlib import Path

import numpy as np
import pytest
from runs import WINDOW_SAMPLES, Recorded, pulse_dataset, stop_after, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.models.encoder import standardise
from ppgssl.training import reconstruction_files, trainer
from ppgssl.training.reconstruction_files import (
    EPOCHS_KEPT,
    FOLDER,
    ShownWindows,
    epochs_to_drop,
    read_epoch,
    read_windows,
    saved_epochs,
    take_over,
    write_epoch,
    write_windows,
)
from ppgssl.training.trainer import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return pulse_dataset(tmp_path_factory.mktemp("pulses") / "data")


def test_every_epoch_shows_the_same_windows_and_what_the_model_made_of_them(
    dataset: Dataset, tmp_path: Path
):
    train(tiny_config("training.epochs=3"), dataset, tmp_path)

    folder = tmp_path / FOLDER
    windows = read_windows(folder)
    outputs = [read_epoch(folder, epoch) for epoch in saved_epochs(folder)]
    stored = dataset.split("val")
    assert saved_epochs(folder) == [1, 2, 3]
    assert [window["recording_id"] for window in windows.described] == ["val-r"] * 4
    assert windows.inputs.shape == (4, WINDOW_SAMPLES)
    first, last = (standardised(stored.read_one(row).signal) for row in (0, 5))
    np.testing.assert_allclose(windows.inputs[[0, -1]], [first, last], atol=1e-6)
    assert windows.fs_hz == dataset.fs_hz
    assert not np.allclose(outputs[0], outputs[2])


def standardised(signal: np.ndarray) -> np.ndarray:
    import torch

    return standardise(torch.from_numpy(signal))[0].numpy()


def test_a_resumed_run_puts_down_what_one_that_never_stopped_does(dataset: Dataset, tmp_path: Path):
    config = tiny_config("training.epochs=3")
    train(config, dataset, tmp_path / "whole")

    train(config, dataset, tmp_path / "parts", should_stop=stop_after(4))
    train(config, dataset, tmp_path / "parts", resume=True)

    whole, parts = tmp_path / "whole" / FOLDER, tmp_path / "parts" / FOLDER
    assert saved_epochs(parts) == saved_epochs(whole) == [1, 2, 3]
    for epoch in (1, 2, 3):
        np.testing.assert_array_equal(read_epoch(parts, epoch), read_epoch(whole, epoch))


def test_a_run_that_puts_nothing_down_has_the_same_losses(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shown, hidden = Recorded(), Recorded()
    train(tiny_config(), dataset, tmp_path / "shown", reporter=shown)

    monkeypatch.setattr(trainer.TrainingRun, "_reconstruct", lambda _run: None)
    train(tiny_config(), dataset, tmp_path / "hidden", reporter=hidden)

    assert not (tmp_path / "hidden" / FOLDER).exists()
    assert hidden.points == shown.points


def test_a_disk_that_takes_no_reconstructions_does_not_end_the_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reconstruction_files, "_write", refuse)
    told = Recorded()

    result = train(tiny_config("training.epochs=1"), dataset, tmp_path, reporter=told)

    assert result.stop_reason == "completed"
    assert any("reconstructions of epoch 1 are not kept" in warning for warning in told.warnings)


def test_a_model_that_learns_no_reconstruction_has_none_to_show(dataset: Dataset, tmp_path: Path):
    train(tiny_config("objective.reconstruction_weight=0", "training.epochs=1"), dataset, tmp_path)

    assert not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        (0, []),
        (EPOCHS_KEPT, [*range(1, EPOCHS_KEPT + 1)]),
        (EPOCHS_KEPT + 2, [*range(1, EPOCHS_KEPT + 2, 2), EPOCHS_KEPT + 2]),
        (1000, [*range(1, 1000, 64), 1000]),
    ],
)
def test_the_first_and_the_newest_epoch_stay(last: int, kept: list[int]):
    epochs = range(1, last + 1)

    assert sorted(set(epochs) - epochs_to_drop(epochs)) == kept


def shown(value: float) -> ShownWindows:
    signal = np.full((1, 8), value, np.float32)
    return ShownWindows([{"window_id": 7}], signal, signal, 4.0)


def test_a_long_run_keeps_a_bounded_number_of_epochs_while_it_goes_on(tmp_path: Path):
    for epoch in range(1, 101):
        write_epoch(tmp_path, epoch, np.zeros((1, 8), np.float32))
        assert len(saved_epochs(tmp_path)) <= EPOCHS_KEPT

    assert saved_epochs(tmp_path)[:3] == [1, 5, 9]
    assert saved_epochs(tmp_path)[-1] == 100


def test_the_next_attempt_takes_over_what_the_newest_one_showed(tmp_path: Path):
    one, two, three, new = (tmp_path / name for name in ("1", "2", "3", "4"))
    for folder, value in [(one, 1.0), (two, 2.0)]:
        write_windows(folder, shown(value))
        write_epoch(folder, 1, shown(value).inputs)
    three.mkdir()

    take_over([one, two, three], new)
    write_epoch(new, 1, shown(9.0).inputs)

    assert read_windows(new).inputs[0, 0] == 2.0
    assert read_epoch(two, 1)[0, 0] == 2.0  # the earlier run's stay as they were
    assert read_epoch(new, 1)[0, 0] == 9.0


def test_without_anything_to_take_over_nothing_is_made(tmp_path: Path):
    take_over([tmp_path / "never"], tmp_path / "new")

    assert not (tmp_path / "new").exists()
