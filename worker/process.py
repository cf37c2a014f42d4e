"""A child process and its two pipes: messages to the inbox, output to the job's log.

Start it from the thread that lives as long as the worker: Linux kills the child when the thread
that started it ends.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from ppgssl.threads import let_idle_threads_sleep
from worker.inbox import Inbox
from worker.order import Order

log = logging.getLogger(__name__)

ORDER_FILE = "order.json"
PIPES_CLOSE_SECONDS = 5.0


class ChildProcess:
    """One run of `worker.child`, in a session of its own."""

    def __init__(self, order: Order, inbox: Inbox) -> None:
        file = Path(order.out) / ORDER_FILE
        order.write(file)
        messages, messages_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.child", str(file), str(messages_end)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                pass_fds=[messages_end],
                env=child_environment(os.environ),
                start_new_session=True,  # Ctrl-C is for the worker, which then stops the child
            )
        except OSError:
            os.close(messages)
            raise
        finally:
            os.close(messages_end)
        assert self._process.stdout is not None
        self._readers = [
            _read_lines(
                os.fdopen(messages, encoding="utf-8"),
                lambda line: _add_whole(line, inbox.add_message),
            ),
            _read_lines(self._process.stdout, inbox.add_log_line),
        ]

    @property
    def pid(self) -> int:
        """Of the child, and of its session."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most so long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def ask_to_stop(self) -> None:
        """SIGTERM: it writes a checkpoint and ends."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to everything in its session, then take in what it still said."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join(PIPES_CLOSE_SECONDS)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment, with idle threads told to sleep where nothing else was said.

    Lines of the child's log come as they are written, not in blocks.
    """
    child = {**environment, "PYTHONUNBUFFERED": "1"}
    let_idle_threads_sleep(child)
    return child


def _read_lines(pipe: IO[str], handle: Callable[[str], None]) -> threading.Thread:
    def read() -> None:
        with pipe:
            for line in pipe:
                handle(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _add_whole(line: str, handle: Callable[[str], None]) -> None:
    if line.endswith("\n"):  # else the child was killed in the middle of it
        handle(line)
