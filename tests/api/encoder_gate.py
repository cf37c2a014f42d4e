"""Holds the service's encoder process back, so that a test can look at who waits."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

GATED = Path(__file__).parent.parent / "bench" / "gated_encoder_process.py"


class Gate:
    """Every batch waits here before it is computed.

    Args:
        folder: Where the process and the test meet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def program(self) -> tuple[str, ...]:
        """What is started in place of the encoder process."""
        return (sys.executable, str(GATED), str(self._folder))

    @property
    def pid(self) -> int:
        """Of the last process that was started."""
        return int((self._folder / "pid").read_text())

    @property
    def calls(self) -> list[int]:
        """Windows of each batch so far."""
        calls = self._folder / "calls"
        return [int(line) for line in calls.read_text().splitlines()] if calls.exists() else []

    def open(self) -> None:
        """Let everything be computed."""
        (self._folder / "open").touch()

    def shut(self) -> None:
        """Hold back what comes from here on."""
        (self._folder / "open").unlink()


def until(condition: Callable[[], object]) -> None:
    """Wait for something; a minute is too long."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in a minute")
