"""What a run tells of the device that it uses."""

import pytest
import torch
from pynvml import NVMLError_NotSupported

from ppgssl.training.device_load import DeviceLoad, device_load

CUDA = torch.device("cuda")


@pytest.fixture
def device_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA device of 80 bytes, 50 of them in use, busy three quarters of the time."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30, 80))
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 75)


def test_a_cpu_has_no_load_of_its_own():
    assert device_load(torch.device("cpu")) == DeviceLoad(None, None)


@pytest.mark.usefixtures("device_in_use")
def test_memory_and_utilisation_are_those_of_the_whole_device():
    assert device_load(CUDA) == DeviceLoad(memory_bytes=50, utilisation=0.75)


@pytest.mark.usefixtures("device_in_use")
@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("pynvml"), RuntimeError("no driver"), NVMLError_NotSupported()]
)
def test_a_utilisation_that_cannot_be_asked_for_is_not_known(
    monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def refuse(_: torch.device) -> int:
        raise error

    monkeypatch.setattr(torch.cuda, "utilization", refuse)

    assert device_load(CUDA) == DeviceLoad(memory_bytes=50, utilisation=None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_device_tells_what_is_taken_from_it():
    before = device_load(CUDA).memory_bytes
    taken = torch.empty(2**28, dtype=torch.uint8, device=CUDA)

    after = device_load(CUDA).memory_bytes

    assert before is not None
    assert after is not None
    assert after - before >= taken.nbytes
