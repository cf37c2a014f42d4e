"""Will PyTorch compute on this machine's GPU?

`look_at_cuda` asks PyTorch and the driver, `check_cuda` judges what they said.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass

from ppgssl.doctor.findings import Finding

ASK_SECONDS = 20
OLDEST_DRIVERS = {11: 450, 12: 525, 13: 580}
"""By CUDA's major version, on Linux (docs.nvidia.com/deploy/cuda-compatibility)."""

INSTALL_TORCH = "install a PyTorch built for this card: https://pytorch.org/get-started"


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """A device that PyTorch sees. `error`: what went wrong when it was given something to add."""

    name: str
    total_bytes: int
    free_bytes: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CudaFacts:
    """What there is.

    Attributes:
        driver: Version of the NVIDIA driver; None where there is none.
        built_for: Version of CUDA that PyTorch was built for; None: for CPUs only.
        devices: Those that PyTorch can use.
        complaint: What PyTorch said while it looked for them.
    """

    driver: str | None
    built_for: str | None
    devices: tuple[CudaDevice, ...] = ()
    complaint: str = ""


def look_at_cuda() -> CudaFacts:
    """Ask PyTorch and the driver."""
    import torch

    from ppgssl.training.devices import count_cuda_devices

    count, complaint = count_cuda_devices()
    return CudaFacts(
        driver=_driver_version(),
        built_for=torch.version.cuda,
        devices=tuple(_look_at_device(index) for index in range(count)),
        complaint=complaint,
    )


def check_cuda(facts: CudaFacts, *, wanted: str) -> Finding:
    """Judge what there is, for the device that PPGSSL_DEVICE names."""
    if wanted == "cpu":
        return Finding.ok("CUDA", "not used: PPGSSL_DEVICE is cpu")
    broken = next((device for device in facts.devices if device.error), None)
    if broken is not None:
        return Finding.problem(
            "CUDA", f"{broken.name} does not compute: {broken.error}", INSTALL_TORCH
        )
    if not facts.devices:
        return _without_device(facts, wanted)
    missing = _missing_index(wanted, len(facts.devices))
    if missing:
        return Finding.problem("CUDA", missing, "set PPGSSL_DEVICE to one that is there, or auto")
    devices = ", ".join(
        f"{one.name} ({one.free_bytes / 1e9:.0f} of {one.total_bytes / 1e9:.0f} GB free)"
        for one in facts.devices
    )
    return Finding.ok("CUDA", f"{devices}; driver {facts.driver}, CUDA {facts.built_for}")


def _without_device(facts: CudaFacts, wanted: str) -> Finding:
    found, remedy = _why_none(facts)
    if wanted != "auto":
        return Finding.problem(
            "CUDA", f"PPGSSL_DEVICE is {wanted}, but {found}", f"{remedy}; or set it to auto"
        )
    if facts.driver is None:
        return Finding.ok("CUDA", f"computing on the CPU: {found}")
    return Finding.warning("CUDA", f"computing on the CPU: {found}", remedy)


def _why_none(facts: CudaFacts) -> tuple[str, str]:
    """Why there is no device, and what to do."""
    if facts.driver is None:
        return "there is no NVIDIA driver", "install the driver of your NVIDIA card"
    if facts.built_for is None:
        return "this PyTorch is built for CPUs only", INSTALL_TORCH
    oldest = OLDEST_DRIVERS.get(int(facts.built_for.split(".")[0]), 0)
    if int(facts.driver.split(".")[0]) < oldest:
        return (
            f"driver {facts.driver} is too old for CUDA {facts.built_for}",
            f"update the driver to {oldest} or newer, or install a PyTorch for an older CUDA",
        )
    return (
        f"PyTorch finds no device. {facts.complaint}".strip(),
        "look what nvidia-smi says, and whether CUDA_VISIBLE_DEVICES hides it",
    )


def _missing_index(wanted: str, count: int) -> str:
    index = int(wanted.partition(":")[2] or 0)
    if index < count:
        return ""
    return f"PPGSSL_DEVICE is {wanted}, but there are {count} devices, counted from 0"


def _look_at_device(index: int) -> CudaDevice:
    import torch

    name = torch.cuda.get_device_name(index)
    try:
        free, total = torch.cuda.mem_get_info(index)
        (torch.ones(8, device=f"cuda:{index}") + 1).sum().item()
    except RuntimeError as error:
        return CudaDevice(name, 0, 0, str(error).splitlines()[0])
    return CudaDevice(name, total, free)


def _driver_version() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(
            query, capture_output=True, text=True, timeout=ASK_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"\d+(\.\d+)*", said)
    return found and found.group()
