"""What the tests of several processes share: a cluster, a small dataset, a run by one process."""

from pathlib import Path

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
