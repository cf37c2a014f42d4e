"""`training.compile`: the same losses through a compiler, and a run that does without one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runs import Recorded, pulse_dataset, tiny_config
from safetensors.torch import load_file

from ppgssl.training.checkpoint import MODEL_FILE
from ppgssl.training.compiling import is_to_compile
from ppgssl.training.trainer import train

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TRAIN = """
import sys
from pathlib import Path
from runs import Recorded, tiny_config
from ppgssl.data.dataset import open_dataset
from ppgssl.training.trainer import train
told = Recorded()
config = tiny_config("training.epochs=1", sys.argv[3])
train(config, open_dataset(Path(sys.argv[1])), Path(sys.argv[2]), reporter=told)
print(*told.warnings, sep="\\n")
print(*(point.values["total"] for point in told.points))
"""


def losses(told: Recorded) -> list[float]:
    return [point.values["total"] for point in told.points]


def test_auto_compiles_on_cuda_with_triton_and_a_compiler_only(monkeypatch):
    monkeypatch.setattr("ppgssl.training.compiling.has_triton", lambda: True)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert is_to_compile("auto", CUDA)
    assert not is_to_compile("auto", CPU)
    assert is_to_compile(True, CPU)
    assert not is_to_compile(False, CUDA)

    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not is_to_compile("auto", CUDA)


def test_a_broken_compiler_costs_a_warning_and_no_loss(tmp_path, monkeypatch):
    def break_down(graph, inputs):
        raise OSError("no space left for the compiler")

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **kw: real(f, backend=break_down, **kw))
    data, written, told = pulse_dataset(tmp_path / "data"), Recorded(), Recorded()

    train(tiny_config("training.epochs=1"), data, tmp_path / "written", reporter=written)
    config = tiny_config("training.epochs=1", "training.compile=true")
    train(config, data, tmp_path / "broken", reporter=told)

    assert any(warning.startswith("training.compile failed (") for warning in told.warnings)
    assert losses(told) == losses(written)


def test_whole_micro_batches_go_through_what_was_compiled(tmp_path, monkeypatch):
    shapes = []

    def note(forward, *, dynamic):
        def compiled(windows):
            shapes.append(tuple(windows.shape))
            return forward(windows)

        return compiled

    monkeypatch.setattr(torch, "compile", note)
    data, written, told = pulse_dataset(tmp_path / "data"), Recorded(), Recorded()
    config = tiny_config("training.compile=true")

    train(tiny_config(), data, tmp_path / "written", reporter=written)
    train(tiny_config("training.compile=true", "training.epochs=1"), data, tmp_path / "compiled")
    train(config, data, tmp_path / "compiled", reporter=told, resume=True)

    per_run = [(4, 1, 128)] * 6  # one before the run; five of an epoch of 22 windows are whole
    assert shapes == 2 * per_run
    weights = [load_file(tmp_path / run / "last" / MODEL_FILE) for run in ("written", "compiled")]
    assert weights[0].keys() == weights[1].keys()
    assert losses(told) == pytest.approx(losses(written)[4:], rel=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ for torch.compile")
def test_compiled_layers_give_the_losses_of_the_written_ones(tmp_path: Path):
    pulse_dataset(tmp_path / "data")
    found = {}
    for wish in ("training.compile=false", "training.compile=true"):
        # in a process of its own: the shape checks of tests cannot be compiled
        said = subprocess.run(
            [sys.executable, "-c", TRAIN, str(tmp_path / "data"), str(tmp_path / wish), wish],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stderr
        assert "training.compile failed" not in said.stdout
        found[wish] = [float(loss) for loss in said.stdout.splitlines()[-1].split()]

    written, compiled = found.values()
    assert compiled == pytest.approx(written, rel=1e-3)
    assert compiled != written
