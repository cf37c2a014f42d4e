"""`ppgssl api` and `ppgssl worker`: become one of the two services.

The library does not import what stands on top of it: the process is replaced by the service's own
program, which reads its settings from PPGSSL_* variables.
"""

import os
import sys
from typing import NoReturn


def api_command() -> None:
    """Start the HTTP API; settings come from PPGSSL_* variables.

    Example: PPGSSL_PORT=8000 ppgssl api
    """
    _become("api")


def worker_command() -> None:
    """Start a worker that runs queued jobs; settings come from PPGSSL_* variables.

    Example: PPGSSL_DEVICE=cuda ppgssl worker
    """
    _become("worker")


def _become(package: str) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-m", package])
