"""How much of a CUDA device is in use, by everybody on it."""

import logging
from dataclasses import dataclass
from functools import cache

import torch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """`utilisation`: share of the last moment in which the device computed, 0 to 1.

    None is what is not known: all of a CPU, and the utilisation where the driver does not say it
    (on a part of a GPU, in some containers) or its library is missing (the extra `gpu`).
    """

    memory_bytes: int | None = None
    utilisation: float | None = None


def device_load(device: torch.device) -> DeviceLoad:
    """Ask the device now; costs well under a millisecond."""
    if device.type != "cuda":
        return DeviceLoad()
    free, total = torch.cuda.mem_get_info(device)
    return DeviceLoad(total - free, _utilisation(device))


def _utilisation(device: torch.device) -> float | None:
    try:
        return torch.cuda.utilization(device) / 100
    except Exception as error:  # NVML's own are of no other class; a figure must not end a run
        _say_once(str(error))
        return None


@cache
def _say_once(why: str) -> None:
    log.info("the utilisation of the device is not known: %s", why)
