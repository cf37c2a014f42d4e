"""Where a run computes and in which precision; asked once, when it starts."""

import ctypes
import logging
import os
import resource
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from ppgssl.errors import DeviceError

logger = logging.getLogger(__name__)

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

# glibc's mallopt parameters, from malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEEP_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Environment:
    """What this process runs in."""

    cuda_devices: int
    container: bool
    notebook: bool


def detect_environment() -> Environment:
    """Look at CUDA, the container markers and IPython's kernel."""
    return Environment(
        cuda_devices=count_cuda_devices()[0],
        container=Path("/.dockerenv").exists() or "KUBERNETES_SERVICE_HOST" in os.environ,
        notebook="ipykernel" in sys.modules,
    )


def count_cuda_devices() -> tuple[int, str]:
    """How many CUDA devices PyTorch can use, and what it said while it looked, if anything."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    complaints = (str(one.message).partition(" (Triggered internally")[0] for one in said)
    return count, " ".join(complaints)


def resolve_device(name: str, *, index: int | None = None) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into a device that exists.

    Of several CUDA devices, `index` says which one `auto` and `cuda` mean.

    `auto` falls back from CUDA to the CPU with a warning in the log.

    Raises:
        DeviceError: A CUDA device was asked for by name and is not there.
    """
    available, complaint = count_cuda_devices()
    why = f" (PyTorch says: {complaint})" if complaint else ""
    if name == "auto":
        if available:
            return resolve_device("cuda", index=index)
        logger.warning("no CUDA device is available: computing on the CPU%s", why)
        return torch.device("cpu")
    device = torch.device(f"cuda:{index}" if name == "cuda" and index is not None else name)
    if device.type == "cuda" and (device.index or 0) >= available:
        raise DeviceError(
            f"device: {str(device)!r} was asked for, but {available} CUDA devices are available"
            f"{why}; use 'auto' or 'cpu', or mend what `ppgssl doctor` finds"
        )
    return device


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The autocast type: `auto` is float16 on CUDA and float32 on a CPU.

    Raises:
        DeviceError: float16 was asked for on a CPU.
    """
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name == "fp16" and device.type == "cpu":
        raise DeviceError("training.precision: 'fp16' needs CUDA; use 'auto' or 'fp32' on a CPU")
    return PRECISIONS[name]


def keep_freed_memory() -> None:
    """Tell glibc not to hand large freed blocks back to the system after every step.

    Activations of a 75,000-sample batch are hundreds of megabytes; returning and faulting them in
    again cost nearly half of each CPU step. Elsewhere than glibc this does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TOP_PAD, KEEP_BYTES)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def peak_memory(device: torch.device) -> str:
    """The most memory this process has held so far, on the host and on its CUDA device."""
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    text = f"{host / 1e6:.0f} MB on the host"
    if device.type == "cuda":
        text += f", {torch.cuda.max_memory_allocated(device) / 1e6:.0f} MB on {device}"
    return text
