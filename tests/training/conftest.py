"""What tests of training share: a cluster, a small dataset, a run by one process; quicker runs."""

from pathlib import Path

import jaxtyping
import pytest
from ray_cluster import cluster as cluster
from runs import pulse_dataset, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.training.trainer import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """18 training windows in micro-batches of 4, two a step: an epoch ends with a lone one of 2."""
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses", train=18, val=10)


@pytest.fixture(scope="module")
def by_one(dataset, tmp_path_factory) -> Path:
    """What one process leaves of it."""
    out = tmp_path_factory.mktemp("one")
    train(tiny_config(), dataset, out)
    return out


@pytest.fixture
def unchecked_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole runs repeat what tests of models, steps and shorter runs check, at half the speed."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
