"""Whether the machine has the device that a worker is to use; asked before it claims a job."""

import subprocess
import sys

from ppgssl.errors import DeviceError

# In a process of its own: the worker itself never loads PyTorch.
ASK = """
import sys
from ppgssl.errors import DeviceError
from ppgssl.training.devices import resolve_device
try:
    resolve_device(sys.argv[1])
except DeviceError as error:
    sys.exit(str(error))
"""


def check_device(name: str) -> None:
    """Refuse a CUDA device that is not there: each job would fail on it, or wait for it in vain.

    Raises:
        DeviceError: The device was named, and this machine does not have it.
    """
    if not name.startswith("cuda"):
        return
    asked = subprocess.run(
        [sys.executable, "-c", ASK, name], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        raise DeviceError(f"PPGSSL_DEVICE: {asked.stderr.strip().splitlines()[-1]}")
