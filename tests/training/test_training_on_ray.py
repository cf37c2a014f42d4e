"""A run on a Ray cluster is the run of one process, also where a worker is killed."""

import os
import signal
import threading

import psutil
import pytest
from runs import Recorded, assert_same_run, tiny_config

from ppgssl.errors import ConfigError, DeviceError, NonFiniteLossError
from ppgssl.training.on_ray import Mailbox, train_on_ray
from ppgssl.training.progress import CheckpointSaved
from ppgssl.training.trainer import train

TWO = "training.devices=2"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray Train itself


def training_workers() -> list[psutil.Process]:
    """Of our cluster."""
    ours = psutil.Process().children(recursive=True)
    return [process for process in ours if "RayTrainWorker" in " ".join(process.cmdline())]


@pytest.mark.slow
def test_after_a_killed_worker_all_go_on_and_end_as_one_process_would(
    dataset, by_one, cluster, tmp_path
):
    class KillsOne(Recorded):
        killed = False

        def checkpoint(self, saved: CheckpointSaved) -> None:
            super().checkpoint(saved)
            if not self.killed:
                self.killed = True
                first, second = training_workers()
                assert first.pid != second.pid
                os.kill(second.pid, signal.SIGKILL)

    told = KillsOne()

    result = train_on_ray(tiny_config(TWO), dataset, tmp_path, address=cluster, reporter=told)

    assert (result.stop_reason, result.epoch, result.step) == ("completed", 2, 6)
    assert [plan.resumed_from_step for plan in told.plans] == [0, 3]
    assert any("a process was lost" in warning for warning in told.warnings)
    assert_same_run(tmp_path, by_one)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".ray", ".seen"))]


@pytest.mark.slow
def test_a_stopped_run_is_gone_on_with_by_one_process(dataset, cluster, tmp_path):
    class StopsAfterAnEpoch(Recorded):
        def checkpoint(self, saved: CheckpointSaved) -> None:
            super().checkpoint(saved)
            stop.set()

    stop = threading.Event()
    config = tiny_config(TWO, "training.epochs=400")
    out, whole = tmp_path / "out", tmp_path / "whole"

    first = train_on_ray(
        config,
        dataset,
        out,
        address=cluster,
        reporter=StopsAfterAnEpoch(),
        should_stop=stop.is_set,
    )
    limit = f"training.epochs={first.epoch + 1}"
    train(tiny_config(limit), dataset, out, resume=True)
    train(tiny_config(limit), dataset, whole)

    assert first.stop_reason == "stopped"
    assert_same_run(out, whole)


@pytest.mark.slow
def test_an_error_of_the_run_arrives_as_itself_from_a_cluster(dataset, cluster, tmp_path):
    config = tiny_config(TWO, "training.learning_rate=1e30", "training.max_grad_norm=1e30")

    with pytest.raises(NonFiniteLossError, match=r"step \d+"):
        train_on_ray(config, dataset, tmp_path, address=cluster)


@pytest.mark.slow
def test_more_processes_than_the_cluster_can_have_are_refused(dataset, cluster, tmp_path):
    with pytest.raises(ConfigError, match=r"raise training\.accumulation_steps"):
        train_on_ray(tiny_config("training.devices=3"), dataset, tmp_path, address=cluster)
    with pytest.raises(DeviceError, match="0 are available"):
        train_on_ray(tiny_config(TWO, "device=cuda"), dataset, tmp_path, address=cluster)


def test_a_run_that_is_over_is_not_started_again():
    mailbox = Mailbox()

    assert [mailbox.start(), mailbox.start()] == [0, 1]
    mailbox.tell("one\n")
    mailbox.end("result\n")
    mailbox.end("an error of whoever missed the others\n")

    assert mailbox.start() is None
    assert mailbox.take(0) == ["one\n", "result\n"]
    assert not mailbox.is_empty()
    assert mailbox.take(2) == []
    assert mailbox.is_empty()
