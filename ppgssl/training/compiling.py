"""`training.compile`: the layers through `torch.compile`, or as written where that fails.

A forward and a backward pass are made before the run, so that a compiler that is missing or broken
is met here and not in the middle of a step.
"""

import os
import shutil
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._triton import has_triton

from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.memory import is_out_of_memory


def is_to_compile(wish: Literal["auto"] | bool, device: torch.device) -> bool:
    """`auto` on CUDA with Triton and a C compiler; a CPU is faster without (docs/log.md)."""
    if wish != "auto":
        return wish
    compilers = (os.environ.get("CC", "cc"), "gcc", "clang")
    return device.type == "cuda" and has_triton() and any(map(shutil.which, compilers))


def compile_layers(
    objective: PretrainingObjective, windows: Float[Tensor, "B 1 T"], *, amp_dtype: torch.dtype
) -> str | None:
    """Compile the model for batches of one shape, or say why it stays as it is written.

    Weights, gradients and running statistics are as before.

    Args:
        objective: Computes batches of that shape with what was compiled, in training.
        windows: Any of the shape of the run's whole micro-batches.
        amp_dtype: float32 switches autocast off.

    Raises:
        RuntimeError: Memory does not hold the pass.
    """
    model = objective.model.train()
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    compiled = torch.compile(model.forward, dynamic=False)
    try:
        with torch.autocast(
            windows.device.type, dtype=amp_dtype, enabled=amp_dtype is not torch.float32
        ):
            code = compiled(windows)
        (code.output.float().mean() + code.embedding.float().mean()).backward()
    except Exception as error:  # whatever a compiler may raise
        if is_out_of_memory(error):
            raise
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    finally:
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, value in model.named_buffers():
                value.copy_(statistics[name])
    objective.compiled = compiled
    objective.compiled_shape = windows.shape
    return None
