"""Trackers are told every point once, and can neither fail nor hold up a run.

TensorBoard's files are read back. MLflow and Weights & Biases are large: fakes of the calls that
they document stand in for them.
"""

import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from runs import Recorded, pulse_dataset, stop_after, tiny_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ppgssl.config import load_config
from ppgssl.data.dataset import Dataset
from ppgssl.errors import ConfigError
from ppgssl.training.progress import LossPoint
from ppgssl.training.trackers import mlflow as mlflow_tracker
from ppgssl.training.trackers import tracking
from ppgssl.training.trackers import wandb as wandb_tracker
from ppgssl.training.trackers.tracking import TrackedReporter, chosen
from ppgssl.training.trainer import train

POINT = LossPoint(3, 1, "val", {"total": 2.5, "mse": 0.5})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses")


def scalars(run: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def told_losses(told: Recorded, split: str) -> list[tuple[int, Any]]:
    return [
        (point.step, pytest.approx(point.values["total"], rel=1e-5))
        for point in told.points
        if point.split == split
    ]


def test_the_event_files_hold_every_point_and_the_config(dataset: Dataset, tmp_path: Path):
    told = Recorded()

    train(tiny_config(), dataset, tmp_path, reporter=told)

    assert scalars(tmp_path, "train/total") == told_losses(told, "train")
    assert scalars(tmp_path, "val/total") == told_losses(told, "val")
    assert len(scalars(tmp_path, "train/learning_rate")) == 6
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert b"epochs: 2" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def test_the_event_files_of_a_resumed_run_hold_each_step_once(dataset: Dataset, tmp_path: Path):
    told = Recorded()
    train(tiny_config(), dataset, tmp_path, reporter=told, should_stop=stop_after(4))

    train(tiny_config(), dataset, tmp_path, reporter=told, resume=True)

    assert scalars(tmp_path, "train/total") == told_losses(told, "train")
    assert len(scalars(tmp_path, "train/total")) == 6


def test_nobody_is_told_where_the_list_is_empty(dataset: Dataset, tmp_path: Path):
    train(tiny_config("training.trackers=[]", "training.epochs=1"), dataset, tmp_path)

    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_is_the_default_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    config = tiny_config()

    installed = chosen(config)
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)

    assert installed == ("tensorboard",)
    assert chosen(config) == ()


def test_an_unknown_tracker_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"training\.trackers.*'tensorboard'"):
        load_config("small", ["training.trackers=[neptune]"])


def test_a_run_whose_trackers_are_not_installed_goes_on_with_a_warning_for_each(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it raises ModuleNotFoundError
    told = Recorded()

    config = tiny_config("training.trackers=[mlflow,wandb]", "training.epochs=1")
    result = train(config, dataset, tmp_path, reporter=told)

    assert result.stop_reason == "completed"
    assert sorted(warning for warning in told.warnings if "tracker" in warning) == [
        "tracker mlflow: is not installed; pip install 'ppgssl[mlflow]'; the run goes on without",
        "tracker wandb: is not installed; pip install 'ppgssl[wandb]'; the run goes on without",
    ]


def test_a_tracker_that_fails_in_the_middle_is_told_no_more(monkeypatch: pytest.MonkeyPatch):
    def fail(points: object) -> None:
        raise ConnectionError("the server is away")

    monkeypatch.setattr(tracking, "_open", lambda *_: SimpleNamespace(log=fail))
    told = Recorded()
    reporter = TrackedReporter(told)

    with reporter.tracking(tiny_config(), Path(), [POINT]):
        reporter.losses([POINT])
        reporter.losses([POINT])

    assert told.points == [POINT, POINT]
    assert told.warnings == [
        "tracker tensorboard: ConnectionError: the server is away; the run goes on without"
    ]


def test_a_tracker_that_hangs_holds_up_neither_a_step_nor_the_end(monkeypatch: pytest.MonkeyPatch):
    released = threading.Event()
    slow = SimpleNamespace(log=lambda points: released.wait(60), close=lambda succeeded: None)
    monkeypatch.setattr(tracking, "_open", lambda *_: slow)
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.05)
    told = Recorded()
    reporter = TrackedReporter(told)

    with reporter.tracking(tiny_config(), Path(), []):
        reporter.losses([POINT])
    released.set()

    assert told.points == [POINT]
    assert "has not taken in all points" in told.warnings[0]


@pytest.mark.parametrize("fails", [False, True])
def test_a_tracker_learns_how_the_run_ended(monkeypatch: pytest.MonkeyPatch, fails: bool):
    ends: list[bool] = []
    tracker = SimpleNamespace(
        log=lambda points: None, close=lambda *, succeeded: ends.append(succeeded)
    )
    monkeypatch.setattr(tracking, "_open", lambda *_: tracker)

    def run() -> None:
        with TrackedReporter(Recorded()).tracking(tiny_config(), Path(), []):
            if fails:
                raise ConfigError("of the run")

    if fails:
        with pytest.raises(ConfigError):
            run()
    else:
        run()

    assert ends == [not fails]


class FakeMlflow:
    """What `MlflowClient` documents of the calls that are made."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def get_experiment_by_name(self, name: str) -> None:
        self.calls.append(("experiment", name))

    def create_experiment(self, name: str) -> str:
        return f"id of {name}"

    def create_run(self, experiment_id: str, run_name: str) -> SimpleNamespace:
        self.calls.append(("run", experiment_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        self.calls.append(("batch", run_id, list(metrics), list(params)))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.calls.append(("end", run_id, status))


def module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(members)
    return made


def test_mlflow_gets_parameters_metrics_and_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    client = FakeMlflow()
    entities = module(
        "mlflow.entities",
        Metric=lambda key, value, timestamp, step: (key, value, step),
        Param=lambda key, value: (key, value),
    )
    monkeypatch.setitem(sys.modules, "mlflow", module("mlflow", MlflowClient=lambda: client))
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "wrists")

    tracker = mlflow_tracker.open_tracker(tmp_path / "first", {"training": {"epochs": 2}})
    tracker.log([POINT])
    tracker.close(succeeded=False)

    assert client.calls == [
        ("experiment", "wrists"),
        ("run", "id of wrists", "first"),
        ("batch", "r1", [], [("training.epochs", "2")]),
        ("batch", "r1", [("val/total", 2.5, 3), ("val/mse", 0.5, 3)], []),
        ("end", "r1", "FAILED"),
    ]


def test_requests_to_mlflow_are_no_larger_than_it_takes():
    assert [len(batch) for batch in mlflow_tracker.batched(range(250), 100)] == [100, 100, 50]


def test_weights_and_biases_gets_config_values_and_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[tuple[str, Any]] = []
    run = SimpleNamespace(
        log=lambda values, step: calls.append(("log", (values, step))),
        finish=lambda exit_code: calls.append(("finish", exit_code)),
    )

    def init(**arguments: Any) -> SimpleNamespace:
        calls.append(("init", arguments))
        return run

    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=init))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)

    tracker = wandb_tracker.open_tracker(tmp_path / "first", {"seed": 0})
    tracker.log([POINT])
    tracker.close(succeeded=True)

    folder = str(tmp_path / "first")
    assert calls == [
        ("init", {"project": "ppgssl", "name": "first", "dir": folder, "config": {"seed": 0}}),
        ("log", ({"val/total": 2.5, "val/mse": 0.5}, 3)),
        ("finish", 0),
    ]
