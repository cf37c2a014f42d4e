"""MLflow: a run of the experiment `ppgssl` or MLFLOW_EXPERIMENT_NAME, at MLFLOW_TRACKING_URI."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ppgssl.training.progress import LossPoint
from ppgssl.training.trackers.tracker import PROJECT, flat, named_values

MOST_METRICS, MOST_PARAMS = 1000, 100  # in one request (mlflow.org, REST API, log-batch)

Item = TypeVar("Item")


class Mlflow:
    """Sends metrics in batches; `client` is an `MlflowClient`."""

    def __init__(self, client: Any, entities: Any, run_id: str) -> None:
        self._client = client
        self._entities = entities
        self._run_id = run_id

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Parameters of the run, by their keys in the config."""
        params = [self._entities.Param(key, str(value)) for key, value in flat(config)]
        for batch in batched(params, MOST_PARAMS):
            self._client.log_batch(self._run_id, params=batch)

    def log(self, points: Sequence[LossPoint]) -> None:
        """Metrics named by split and value."""
        now_ms = int(time.time() * 1000)
        metrics = [
            self._entities.Metric(name, value, now_ms, point.step)
            for point in points
            for name, value in named_values(point).items()
        ]
        for batch in batched(metrics, MOST_METRICS):
            self._client.log_batch(self._run_id, metrics=batch)

    def close(self, *, succeeded: bool) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self._run_id, "FINISHED" if succeeded else "FAILED")


def open_tracker(out: Path, config: Mapping[str, Any]) -> Mlflow:
    """Start a run named after the run folder."""
    client = import_module("mlflow").MlflowClient()
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    run = client.create_run(experiment_id, run_name=out.name)
    tracker = Mlflow(client, import_module("mlflow.entities"), run.info.run_id)
    tracker.log_config(config)
    return tracker


def batched(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """Items in lists of at most `size`."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
