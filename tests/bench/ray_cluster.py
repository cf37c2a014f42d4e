"""A Ray cluster of this machine that looks like two hosts."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of two nodes with two CPUs each; workers find the modules of `tests/pools`."""
    pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
    cluster_utils: Any = pytest.importorskip("ray.cluster_utils")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(TESTS / "pools"))
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_worker_niceness", "0")  # else they come after whatever else runs here
    patch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes.add_node(num_cpus=2)
    yield nodes.address
    nodes.shutdown()
    patch.undo()
