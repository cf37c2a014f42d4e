"""A file that a well worker touches, and the check that a container's healthcheck runs.

`python -m worker.liveness` exits 0 while the file is fresh, else 1.
"""

import sys
import tempfile
import time
from pathlib import Path

from ppgssl.jobs.settings import Settings, load_settings

FILE_NAME = "ppgssl-worker.alive"
MAX_AGE_SECONDS = 60.0  # a busy worker touches the file about twice a second


def liveness_file(settings: Settings) -> Path:
    """Where the worker's sign of life is."""
    return settings.liveness_file or Path(tempfile.gettempdir()) / FILE_NAME


def is_alive(file: Path, *, now: float) -> bool:
    """Whether the file was touched lately; `now` in seconds since 1970."""
    return file.exists() and now - file.stat().st_mtime < MAX_AGE_SECONDS


def main() -> None:
    """Exit 0 if the worker is well."""
    sys.exit(0 if is_alive(liveness_file(load_settings()), now=time.time()) else 1)


if __name__ == "__main__":
    main()
