"""Several processes train as one would: the same losses, the same checkpoints, the same ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from runs import Recorded, assert_same_run, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.errors import ConfigError, DeviceError, NonFiniteLossError, ProcessLostError
from ppgssl.training import launch
from ppgssl.training.crew import Crew
from ppgssl.training.launch import num_processes, train_on_devices
from ppgssl.training.processes import Processes
from ppgssl.training.progress import CheckpointSaved
from ppgssl.training.telling import describe_error, rebuild_error
from ppgssl.training.trainer import TrainingRun, train

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

TWO = "training.devices=2"


def test_two_processes_compute_what_one_does(dataset, by_one, tmp_path):
    told = Recorded()

    result = train_on_devices(tiny_config(TWO), dataset, tmp_path, reporter=told)

    assert (result.stop_reason, result.epoch, result.step) == ("completed", 2, 6)
    assert_same_run(tmp_path, by_one)
    assert [p.step for p in told.points if p.split == "train"] == [1, 2, 3, 4, 5, 6]
    assert [saved.name for saved in told.checkpoints].count("epoch-2") == 1
    assert told.plans[0].device == "2 x cpu"


def test_only_the_first_puts_reconstructions_down(dataset, tmp_path):
    for rank, written in ((1, []), (0, [tmp_path / "run"])):
        processes = Processes(rank=rank)
        never = threading.Event().is_set
        run = TrainingRun(
            *(tiny_config(), dataset, tmp_path / "run", Recorded(), never), processes=processes
        )
        run._reconstruct()
        assert list(tmp_path.iterdir()) == written


@pytest.mark.slow
def test_two_processes_hold_the_windows_each_and_compute_the_same(dataset, by_one, tmp_path):
    told = Recorded()

    train_on_devices(tiny_config(TWO, "data.device_cache=true"), dataset, tmp_path, reporter=told)

    assert_same_run(tmp_path, by_one)
    assert ["18 training windows" in note for note in told.notes] == [True]


@pytest.mark.slow
def test_one_process_goes_on_from_what_two_have_begun(dataset, by_one, tmp_path):
    class StopsAfterAnEpoch(Recorded):
        def checkpoint(self, saved: CheckpointSaved) -> None:
            super().checkpoint(saved)
            stop.set()

    stop = threading.Event()
    told = StopsAfterAnEpoch()
    config = tiny_config(TWO, "training.epochs=40")

    first = train_on_devices(config, dataset, tmp_path, reporter=told, should_stop=stop.is_set)
    whole = tmp_path / "whole"
    limit = f"training.epochs={first.epoch + 2}"
    train(tiny_config(limit), dataset, tmp_path, resume=True)
    train(tiny_config(limit), dataset, whole)

    assert first.stop_reason == "stopped"
    assert_same_run(tmp_path, whole)


@pytest.mark.slow
def test_after_a_killed_process_all_go_on_from_the_last_checkpoint(
    dataset, by_one, tmp_path, monkeypatch
):
    crews: list[Crew] = []

    class Noted(Crew):
        def __init__(self, *args) -> None:
            super().__init__(*args)
            crews.append(self)

    class KillsTheSecond(Recorded):
        def checkpoint(self, saved: CheckpointSaved) -> None:
            super().checkpoint(saved)
            if len(crews) == 1:
                os.kill(crews[0].pids[1], signal.SIGKILL)

    monkeypatch.setattr(launch, "Crew", Noted)
    told = KillsTheSecond()

    result = train_on_devices(tiny_config(TWO), dataset, tmp_path, reporter=told)

    assert result.stop_reason == "completed"
    assert len(crews) == 2
    assert any("process 2 of 2 was killed by SIGKILL" in warning for warning in told.warnings)
    assert told.plans[1].resumed_from_step == 3
    assert_same_run(tmp_path, by_one)


@pytest.mark.slow
def test_processes_that_die_at_every_start_end_the_run(dataset, tmp_path, monkeypatch):
    class Mortal(Crew):
        def __init__(self, *args) -> None:
            super().__init__(*args)
            os.kill(self.pids[1], signal.SIGKILL)

    monkeypatch.setattr(launch, "Crew", Mortal)
    monkeypatch.setattr(launch, "MOST_RESTARTS", 1)
    monkeypatch.setattr("ppgssl.training.crew.GRACE_SECONDS", 0.0)

    with pytest.raises(ProcessLostError, match="process 2 of 2 was killed by SIGKILL"):
        train_on_devices(tiny_config(TWO), dataset, tmp_path)


@pytest.mark.slow
def test_an_error_of_the_run_arrives_as_itself(dataset, tmp_path):
    config = tiny_config(TWO, "training.learning_rate=1e30", "training.max_grad_norm=1e30")

    with pytest.raises(NonFiniteLossError, match=r"step \d+"):
        train_on_devices(config, dataset, tmp_path)


@pytest.mark.slow
def test_processes_die_with_the_one_that_started_them(dataset, tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from ppgssl.training.crew import Crew\nfrom ppgssl.training.rank import TrainingOrder\n"
        "import dataclasses, json, os, time\n"
        "order = TrainingOrder(**json.loads(sys.argv[1]))\n"
        "crew = Crew(dataclasses.replace(order, parent_pid=os.getpid()), 2)\n"
        "print(*crew.pids, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(an_order(dataset, tmp_path))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]

    parent.kill()
    parent.wait()
    parent.stdout.close()

    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        assert time.monotonic() < until, f"of {pids} one is left"
        time.sleep(0.05)


def an_order(dataset: Dataset, out: Path) -> dict:
    return {
        "config": tiny_config("training.epochs=1000").model_dump(mode="json"),
        "dataset": str(dataset.path),
        "out": str(out),
        "resume": False,
        "resume_from": None,
        "keep_replaced": False,
        "log_level": 30,
        "parent_pid": -1,
    }


@pytest.mark.parametrize("items", [0, 1, 2, 3, 7, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_item_is_exactly_one_process_s_in_order(items, count):
    shares = [Processes(rank, count).share(range(items)) for rank in range(count)]

    assert [item for share in shares for item in share] == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_more_processes_than_micro_batches_are_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"raise training\.accumulation_steps"):
        num_processes(tiny_config("training.devices=3"))


def test_several_processes_on_one_cuda_device_are_refused():
    with pytest.raises(ConfigError, match="use 'cuda'"):
        num_processes(tiny_config(TWO, "device=cuda:0"))


def test_more_processes_than_cuda_devices_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    with pytest.raises(DeviceError, match="1 are available"):
        num_processes(tiny_config(TWO, "device=cuda"))


@pytest.mark.parametrize(("gpus", "used"), [(0, 1), (1, 1), (2, 2), (8, 2)])
def test_auto_takes_as_many_cuda_devices_as_have_something_to_do(monkeypatch, gpus, used):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    assert num_processes(tiny_config("device=auto")) == used
    assert num_processes(tiny_config("device=cpu")) == 1


@pytest.mark.parametrize("error", [ConfigError("a"), NonFiniteLossError("b"), MemoryError("c")])
def test_errors_keep_their_kind_on_the_way(error):
    rebuilt = rebuild_error(**describe_error(error))

    assert type(rebuilt) is type(error)
    assert str(error) in str(rebuilt)
