"""torchrun as on two hosts: an agent for each, which meet at an address."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from runs import pulse_dataset, tiny_config
from safetensors.torch import load_file
from torch.testing import assert_close

from ppgssl.training.trainer import train


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.slow
def test_two_agents_with_a_process_each_train_what_one_process_does(tmp_path: Path, monkeypatch):
    dataset = pulse_dataset(tmp_path / "pulses", train=18, val=10)
    train(tiny_config(), dataset, tmp_path / "one")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tiny_config().model_dump(mode="json")))
    if sys.platform == "linux":
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    ours = ["--config", config, "--data", dataset.path, "--out", tmp_path / "two"]
    command = [*torchrun, *meeting, "--local-addr", "127.0.0.1", "-m", "ppgssl", "train", *ours]

    agents = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [agent.communicate(timeout=120)[1] for agent in agents]

    assert [agent.returncode for agent in agents] == [0, 0], "\n".join(errors)
    weights = load_file(tmp_path / "two/last/model.safetensors")
    for name, value in load_file(tmp_path / "one/last/model.safetensors").items():
        assert_close(weights[name], value, rtol=1e-4, atol=1e-5, msg=name)
