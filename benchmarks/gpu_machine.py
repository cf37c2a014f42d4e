"""What a device can do at all: matrix products a second, bytes copied a second; timing on it."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.timing import seconds

ROUNDS = 15
MATRIX = 8192
COPIED_BYTES = 2**30
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a device was measured to do: FLOP/s by precision, bytes/s."""

    device: torch.device
    flops_per_s: dict[str, float]
    bytes_per_s: float


def measure_machine(device: torch.device) -> Machine:
    """Matrix products of each precision without TF32, and a copy within the device's memory."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    size = MATRIX if device.type == "cuda" else MATRIX // 8
    flops_per_s: dict[str, float] = {}
    for precision, dtype in PRECISIONS.items():
        matrix = torch.randn(size, size, device=device, dtype=dtype)
        taken = statistics.median(timed(matrix.mm, matrix) for _ in range(ROUNDS))
        flops_per_s[precision] = 2 * size**3 / taken
    copied = COPIED_BYTES if device.type == "cuda" else COPIED_BYTES // 64
    source = torch.empty(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken = statistics.median(timed(target.copy_, source) for _ in range(ROUNDS))
    return Machine(device, flops_per_s, 2 * copied / taken)


def timed(work: Callable[[Tensor], object], argument: Tensor) -> float:
    """Seconds, from an idle device to an idle device."""

    def wait() -> None:
        if argument.device.type == "cuda":
            torch.cuda.synchronize()

    work(argument)
    wait()
    return seconds(lambda: (work(argument), wait()))
