"""A CUDA device that is pretended: tensors say that they lie on it, and a CPU holds their values.

So a machine without a GPU finds tensors of two devices in one operation, values that the host waits
for, and what float16 cannot hold. It says nothing of speed or memory, and its autocast is that of a
CPU, which has another list of operations.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import ppgssl

DEVICE = torch.device("cuda:0")
OUR_CODE = Path(ppgssl.__file__).parent

BETWEEN_DEVICES = ("aten.copy_", "aten._to_copy")
INDEXING = ("aten.index", "aten.index_put_", "aten._index_put_impl_")  # by an index on the host
WAITING = (
    "aten._local_scalar_dense",
    "aten._unique2",
    "aten.bincount",
    "aten.equal",
    "aten.masked_select",
    "aten.nonzero",
)

Waits = Counter[str]
"""How often a file of ours waited for a value of the device."""


class OnDevice(Tensor):
    """A tensor that says that it lies on the device; C++ takes it for one of the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor, waits: Waits) -> "OnDevice":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
        )
        made.held, made.waits = held, waits
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        raise RuntimeError(f"{function}: {DEVICE} is pretended no longer")

    def __reduce_ex__(self, protocol):
        return self.held.__reduce_ex__(protocol)

    @property
    def device(self) -> torch.device:
        return DEVICE

    @property
    def is_cuda(self) -> bool:
        return True

    def cpu(self) -> Tensor:
        count_wait(self.waits)
        return self.held.detach().clone()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self) -> None:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def to(self, *wanted: Any, **options: Any) -> Tensor:
        """To the host, or to another type on the device."""
        everything = [*wanted, *options.values()]
        devices = [torch.device(x) for x in everything if isinstance(x, str | torch.device)]
        by_torch = sys._getframe(1).f_globals["__name__"].startswith("torch.")
        if any(device.type == "cpu" for device in devices) and not by_torch:
            return self.cpu().to(*wanted, **options)
        types = [x for x in everything if isinstance(x, torch.dtype)]
        return Tensor.to(self, types[0]) if types else self


class Everything(TorchDispatchMode):
    """Sees also the operations that no tensor of the device takes part in yet."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        return compute(function, arguments, options or {}, self.waits)


class GeneratorOfHost(torch.Generator):
    """Draws on the host whichever device it is for."""

    def __new__(cls, device: object = None) -> "GeneratorOfHost":
        return super().__new__(cls)


class AutocastOfHost(torch.autocast):
    """Takes the device for a CPU, as C++ does."""

    def __init__(self, device_type: str, dtype: torch.dtype | None = None, enabled: bool = True):
        super().__init__("cpu", dtype=dtype, enabled=enabled)


def compute(
    function: Callable, arguments: Sequence[Any], options: dict[str, Any], waits: Waits
) -> Any:
    """Do on the CPU what the device is asked for, and complain where it would.

    Raises:
        RuntimeError: The tensors are of two devices.
    """
    name = str(function).rpartition(".")[0]
    tensors = [x for x in tree_leaves((arguments, options)) if isinstance(x, Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    of_host = [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.dim()]
    if ours and of_host and name not in (*BETWEEN_DEVICES, *INDEXING):
        raise RuntimeError(f"{name}: tensors of {DEVICE} and of the CPU")
    to_host = name == "aten.copy_" and not isinstance(arguments[0], OnDevice)
    by_mask = name in INDEXING and any(
        isinstance(x, Tensor) and x.dtype is torch.bool for x in tree_leaves(arguments[1])
    )
    if ours and (to_host or by_mask or name in WAITING):
        count_wait(waits)

    asked = options.get("device")
    stays = bool(ours) or (asked is not None and torch.device(asked).type == "cuda")
    if asked is not None:
        options = options | {"device": torch.device("cpu")}
    known = {id(tensor.held): tensor for tensor in ours}

    def held(x: Any) -> Any:
        return x.held if isinstance(x, OnDevice) else x

    def given_back(x: Any) -> Any:
        if not isinstance(x, Tensor) or isinstance(x, OnDevice) or to_host or not stays:
            return x
        return known[id(x)] if id(x) in known else OnDevice(x, waits)

    return tree_map(given_back, function(*tree_map(held, arguments), **tree_map(held, options)))


def count_wait(waits: Waits) -> None:
    """Of the innermost of our files that is being executed."""
    frame = sys._getframe()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(OUR_CODE):
            waits[path.relative_to(OUR_CODE).as_posix()] += 1
            return
        frame = frame.f_back


@contextmanager
def pretended_cuda() -> Iterator[Waits]:
    """One such device, `cuda:0`; the waits for its values are counted by file."""
    import torch._dynamo  # optimisers import it, and its annotations want the real generator

    waits = Waits()
    there: dict[str, Any] = {
        "_lazy_init": None,
        "device_count": 1,
        "get_rng_state": torch.get_rng_state(),
        "is_available": True,
        "max_memory_allocated": 0,
        "mem_get_info": (10**9, 10**9),
        "set_rng_state": None,
        "utilization": 50,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in there.items():
            patch.setattr(torch.cuda, name, lambda *_, value=value: value)
        patch.setattr(Tensor, "pin_memory", lambda self: self)
        patch.setattr(torch, "Generator", GeneratorOfHost)
        patch.setattr(torch, "autocast", AutocastOfHost)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            with Everything(waits):
                yield waits
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)
