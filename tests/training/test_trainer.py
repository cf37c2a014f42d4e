"""Whole runs: they learn, stop, resume to the last bit, and refuse what they cannot do."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from runs import AS_DRAWN, Recorded, pulse_dataset, stop_after, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.errors import (
    CheckpointError,
    CollapsedError,
    ConfigError,
    DatasetError,
    NonFiniteLossError,
)
from ppgssl.training.checkpoint import FILES
from ppgssl.training.trainer import train

pytestmark = pytest.mark.usefixtures("unchecked_shapes")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses")


def history(folder) -> list[dict]:
    return pq.read_table(folder / "history.parquet").to_pylist()


def test_a_run_writes_complete_checkpoints_and_tells_every_step_once(dataset, tmp_path):
    told = Recorded()

    result = train(tiny_config(), dataset, tmp_path, reporter=told)

    assert (result.stop_reason, result.epoch, result.step) == ("completed", 2, 6)
    for name in ("best", "last", "epoch-2"):
        assert {path.name for path in (tmp_path / name).iterdir()} == set(FILES)
    steps = [point.step for point in told.points if point.split == "train"]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [p.epoch for p in told.points if p.split == "val"] == [1, 2]
    assert len(history(tmp_path / "last")) == 8


def test_the_unfinished_last_group_of_an_epoch_is_a_step_too(dataset, tmp_path):
    told = Recorded()  # 22 windows in micro-batches of 4, two a step: 8 + 8 + 6

    train(tiny_config("training.epochs=1"), dataset, tmp_path, reporter=told)

    assert told.plans[0].steps_per_epoch == 3
    assert sum(point.split == "train" for point in told.points) == 3


def test_half_precision_trains_validates_and_stays_near_float32(dataset, tmp_path):
    losses = {}
    for precision in ("fp32", "bf16"):
        told = Recorded()
        config = tiny_config(f"training.precision={precision}", "training.epochs=1")
        train(config, dataset, tmp_path / precision, reporter=told)
        losses[precision] = [point.values["total"] for point in told.points]

    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)
    assert losses["bf16"] != losses["fp32"]


def test_a_run_explains_windows_that_it_never_saw(tmp_path):
    data = pulse_dataset(tmp_path / "data", train=192, val=32, windows_per_group=64)
    told = Recorded()
    config = tiny_config(
        "model.base_filters=8",
        "model.max_filters=32",
        "model.latent_dim=32",
        "model.bottleneck_dim=48",
        "training.epochs=10",
        "training.batch_size=16",
        "training.learning_rate=0.005",
    )

    train(config, data, tmp_path / "run", reporter=told)

    explained = [p.values["explained_variance"] for p in told.points if p.split == "val"]
    assert explained[-1] > 0.6
    assert told.warnings == []


@pytest.mark.parametrize("stopped_after", [1, 3, 4])
def test_a_run_stopped_and_resumed_equals_one_that_never_stopped(dataset, tmp_path, stopped_after):
    config = tiny_config("training.epochs=3")
    train(config, dataset, tmp_path / "whole")

    first = train(config, dataset, tmp_path / "parts", should_stop=stop_after(stopped_after))
    second = train(config, dataset, tmp_path / "parts", resume=True)

    assert first.stop_reason == "stopped"
    assert first.step == stopped_after
    assert second.stop_reason == "completed"
    assert history(tmp_path / "parts/last") == history(tmp_path / "whole/last")
    whole = (tmp_path / "whole/last/model.safetensors").read_bytes()
    assert (tmp_path / "parts/last/model.safetensors").read_bytes() == whole


def test_resuming_a_finished_run_changes_nothing(dataset, tmp_path):
    train(tiny_config(), dataset, tmp_path)
    before = (tmp_path / "last/model.safetensors").read_bytes()

    result = train(tiny_config(), dataset, tmp_path, resume=True)

    assert (result.stop_reason, result.step) == ("completed", 6)
    assert (tmp_path / "last/model.safetensors").read_bytes() == before


def test_losses_do_not_depend_on_how_the_data_is_read(dataset, tmp_path):
    for name, override in [
        ("lazy", "data.num_workers=0"),
        ("ahead", "data.num_workers=2"),
        ("memory", "data.load_in_memory=true"),
        ("auto", "data.load_in_memory=auto"),
    ]:
        train(tiny_config(override), dataset, tmp_path / name)

    assert history(tmp_path / "ahead/last") == history(tmp_path / "lazy/last")
    assert history(tmp_path / "memory/last") == history(tmp_path / "lazy/last")
    assert history(tmp_path / "auto/last") == history(tmp_path / "lazy/last")


def test_the_same_seed_gives_the_same_losses_and_another_one_others(dataset, tmp_path):
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        train(tiny_config(f"seed={seed}"), dataset, tmp_path / name)

    assert history(tmp_path / "a/last") == history(tmp_path / "b/last")
    assert history(tmp_path / "a/last") != history(tmp_path / "c/last")


def test_early_stopping_ends_a_run_that_no_longer_gets_better(dataset, tmp_path):
    config = tiny_config(
        "training.epochs=50",
        "training.learning_rate=1e-12",  # nothing moves but batch norm's statistics
        "training.early_stopping_patience=2",
    )

    result = train(config, dataset, tmp_path)

    assert result.stop_reason == "early_stopping"
    assert result.best is not None
    assert result.epoch == result.best.epoch + 2


def test_best_stays_where_the_validation_loss_was_lowest(dataset, tmp_path):
    told = Recorded()

    result = train(tiny_config("training.epochs=6"), dataset, tmp_path, reporter=told)

    losses = {p.epoch: p.values["total"] for p in told.points if p.split == "val"}
    assert result.best is not None
    assert result.best.epoch == min(losses, key=losses.__getitem__)
    assert history(tmp_path / "best")[-1]["total"] == result.best.val_loss


def test_only_named_checkpoints_are_kept(dataset, tmp_path):
    train(tiny_config("training.epochs=6"), dataset, tmp_path)

    named = {p.resolve() for p in tmp_path.iterdir() if p.is_symlink()}
    assert {p.resolve() for p in (tmp_path / "steps").iterdir()} == named


def test_a_folder_that_holds_a_run_is_not_overwritten(dataset, tmp_path):
    train(tiny_config(), dataset, tmp_path)

    with pytest.raises(CheckpointError, match="already holds a training run; resume it"):
        train(tiny_config(), dataset, tmp_path)


def test_resuming_with_other_settings_is_refused_with_what_changed(dataset, tmp_path):
    train(tiny_config(), dataset, tmp_path)

    with pytest.raises(ConfigError, match=r"training\.learning_rate: 0\.002 → 0\.5"):
        train(tiny_config("training.learning_rate=0.5"), dataset, tmp_path, resume=True)


@pytest.mark.parametrize(("size", "accumulation"), [("2", "4"), ("8", "1")])
def test_a_run_resumes_with_other_micro_batches_as_long_as_a_step_is_the_same(
    dataset, tmp_path, size: str, accumulation: str
):
    train(tiny_config(), dataset, tmp_path / "whole")
    other = f"training.batch_size={size}", f"training.accumulation_steps={accumulation}"

    train(tiny_config(), dataset, tmp_path / "parts", should_stop=stop_after(2))
    result = train(tiny_config(*other), dataset, tmp_path / "parts", resume=True)

    places = [(row["step"], row["epoch"], row["split"]) for row in history(tmp_path / "parts/last")]
    whole = [(row["step"], row["epoch"], row["split"]) for row in history(tmp_path / "whole/last")]
    assert (result.stop_reason, result.step) == ("completed", 6)
    assert places == whole


def test_a_run_continues_from_a_checkpoint_of_another_folder_and_leaves_that_alone(
    dataset, tmp_path
):
    train(tiny_config(), dataset, tmp_path / "whole")
    train(tiny_config(), dataset, tmp_path / "first", should_stop=stop_after(2))
    before = {path.name: path.read_bytes() for path in (tmp_path / "first/last").iterdir()}

    train(tiny_config(), dataset, tmp_path / "second", resume_from=tmp_path / "first/last")

    assert history(tmp_path / "second/last") == history(tmp_path / "whole/last")
    assert {p.name: p.read_bytes() for p in (tmp_path / "first/last").iterdir()} == before


def test_replaced_checkpoints_stay_where_somebody_else_removes_them(dataset, tmp_path):
    train(tiny_config(), dataset, tmp_path, keep_replaced=True)

    assert len(list((tmp_path / "steps").iterdir())) == 2


def test_a_finished_run_can_be_resumed_for_more_epochs(dataset, tmp_path):
    train(tiny_config(), dataset, tmp_path)

    result = train(tiny_config("training.epochs=3"), dataset, tmp_path, resume=True)

    assert (result.epoch, result.step) == (3, 9)


@pytest.mark.parametrize("override", ["data.window_seconds=10", "data.fs_hz=50"])
def test_windows_of_another_length_or_rate_are_refused_with_both(dataset, tmp_path, override):
    with pytest.raises(
        ConfigError, match=r"has 128 samples at 25 Hz; set data.window_seconds=5.12"
    ):
        train(tiny_config(override), dataset, tmp_path)


def test_a_dataset_without_training_windows_is_refused(tmp_path):
    empty = pulse_dataset(tmp_path / "empty", train=0)

    with pytest.raises(DatasetError, match="no training windows"):
        train(tiny_config(), empty, tmp_path / "run")


def test_without_a_val_split_the_training_windows_validate_with_a_warning(tmp_path):
    only_train = pulse_dataset(tmp_path / "data", val=0)
    told = Recorded()

    train(tiny_config("training.epochs=1"), only_train, tmp_path / "run", reporter=told)

    assert any("no val split" in warning for warning in told.warnings)
    assert math.isfinite(told.points[-1].values["total"])


def test_a_loss_that_is_not_finite_ends_the_run_with_the_step(tmp_path):
    data = pulse_dataset(tmp_path / "data")
    config = tiny_config("training.learning_rate=1e30", "training.epochs=20")

    with pytest.raises(NonFiniteLossError, match=r"step \d+.*lower training.learning_rate"):
        train(config, data, tmp_path / "run")


def test_mean_pooling_collapses_and_the_run_says_so(dataset, tmp_path):
    told = Recorded()
    config = tiny_config(*AS_DRAWN, "training.epochs=6", "training.warmup_epochs=0")

    train(config, dataset, tmp_path, reporter=told)

    assert any("reconstruction collapsed" in warning for warning in told.warnings)


def test_a_collapsed_run_that_may_not_go_on_ends_with_a_checkpoint_behind_it(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("ppgssl.training.collapse.GRACE_STEPS_WITHOUT_POSITION", 9)
    config = tiny_config(
        *AS_DRAWN,
        "training.epochs=6",
        "training.warmup_epochs=0",
        "training.fail_on_collapse=true",
    )

    with pytest.raises(CollapsedError, match=r"mean pooling forgets .* after epoch 3") as caught:
        train(config, dataset, tmp_path)

    assert caught.value.code == "collapsed"
    assert history(tmp_path / "last")[-1]["step"] == 9
    with pytest.raises(CollapsedError):  # nothing has changed, so it is not tried again
        train(config, dataset, tmp_path, resume=True)
    going_on = config.model_copy(
        update={"training": config.training.model_copy(update={"fail_on_collapse": False})}
    )
    assert train(going_on, dataset, tmp_path, resume=True).epoch == 6


def test_every_epoch_records_the_health_figures(tmp_path):
    data = pulse_dataset(tmp_path / "data", val=20)

    train(tiny_config(), data, tmp_path / "run")

    figures = {
        *("explained_variance", "effective_rank", "embedding_std", "embedding_std_p5"),
        *("embedding_std_p95", "dead_dimensions", "alignment", "uniformity"),
        *("hr_probe_mae", "hr_probe_r", "hr_mean_mae"),
    }
    epochs = [row for row in history(tmp_path / "run/last") if row["split"] == "val"]
    assert len(epochs) == 2
    for row in epochs:
        assert all(math.isfinite(row[name]) for name in figures)


def test_a_figure_that_the_val_split_cannot_give_is_absent_with_the_reason(dataset, tmp_path):
    told = Recorded()

    train(tiny_config("training.epochs=1"), dataset, tmp_path, reporter=told)  # 6 val windows

    assert "hr_probe_mae" not in told.points[-1].values
    assert "alignment" in told.points[-1].values
    assert any("the heart rate probe is not measured" in warning for warning in told.warnings)


def test_validation_uses_no_augmentation_and_leaves_no_trace_in_the_order(dataset, tmp_path):
    told = Recorded()

    train(tiny_config("training.learning_rate=1e-12", "seed=3"), dataset, tmp_path, reporter=told)

    first, second = (p.values["mse"] for p in told.points if p.split == "val")
    assert first == pytest.approx(second, rel=0.2)  # only batch norm's statistics moved
    assert np.isfinite(first)


def test_a_resumed_run_does_not_draw_from_the_global_generator(dataset, tmp_path):
    config = tiny_config()
    train(config, dataset, tmp_path / "a", should_stop=stop_after(2))
    torch.manual_seed(12345)

    train(config, dataset, tmp_path / "a", resume=True)
    train(config, dataset, tmp_path / "b")

    assert history(tmp_path / "a/last") == history(tmp_path / "b/last")
