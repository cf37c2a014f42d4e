"""Devices and precision: fallback where nobody asked, refusal where somebody did."""

import logging
import signal
import warnings

import pytest
import torch

from ppgssl.errors import DeviceError
from ppgssl.training.devices import (
    detect_environment,
    keep_freed_memory,
    resolve_device,
    resolve_precision,
)
from ppgssl.training.interrupt import stop_on_signals

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_falls_back_to_the_cpu_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with caplog.at_level(logging.WARNING):
        device = resolve_device("auto")

    assert device == CPU
    assert "no CUDA device is available" in caplog.text


@pytest.mark.parametrize(("name", "devices"), [("cuda", 0), ("cuda:1", 1)])
def test_a_cuda_device_asked_for_by_name_is_not_replaced(monkeypatch, name: str, devices: int):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)

    with pytest.raises(DeviceError, match=f"'{name}' was asked for, but {devices} CUDA devices"):
        resolve_device(name)


OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
)


def too_old() -> bool:
    """What PyTorch says of an old driver, and where it says so."""
    warnings.warn(f"{OLD_DRIVER} (Triggered internally at CUDAFunctions.cpp:109.)", stacklevel=1)
    return False


def test_what_pytorch_says_of_the_driver_is_passed_on(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", too_old)

    with caplog.at_level(logging.WARNING):
        assert resolve_device("auto") == CPU
    with pytest.raises(DeviceError) as refusal:
        resolve_device("cuda")

    assert caplog.messages[-1].endswith(f"computing on the CPU (PyTorch says: {OLD_DRIVER})")
    assert f"0 CUDA devices are available (PyTorch says: {OLD_DRIVER}); " in str(refusal.value)


def test_precision_follows_the_device_unless_asked_for():
    assert resolve_precision("auto", CPU) is torch.float32
    assert resolve_precision("auto", CUDA) is torch.float16
    assert resolve_precision("bf16", CUDA) is torch.bfloat16
    with pytest.raises(DeviceError, match="'fp16' needs CUDA"):
        resolve_precision("fp16", CPU)


def test_the_environment_is_looked_at_and_not_guessed(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")

    environment = detect_environment()

    assert environment.container
    assert not environment.notebook
    assert environment.cuda_devices == torch.cuda.device_count()


def test_tuning_the_allocator_leaves_the_process_working():
    keep_freed_memory()

    assert torch.ones(1_000_000).sum() == 1_000_000


def test_the_first_signal_asks_to_stop_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)

    with stop_on_signals() as should_stop:
        asked_before = should_stop()
        signal.raise_signal(signal.SIGTERM)
        asked_after = should_stop()

    assert (asked_before, asked_after) == (False, True)
    assert signal.getsignal(signal.SIGTERM) == before
