"""Several training processes of this host, from their start to the end of the last one."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from torch.distributed import (
    TCPStore,  # pyright: ignore[reportPrivateImportUsage]
)

from ppgssl.training.progress import Reporter
from ppgssl.training.rank import TrainingOrder
from ppgssl.training.telling import Message, retell

LOOK_SECONDS = 0.2
GRACE_SECONDS = 10.0  # for the others, once one has ended badly


@dataclass(slots=True)
class CrewEnd:
    """How the processes ended: with a result, with an error told, or without a word.

    Attributes:
        result: Of the first process.
        error: Code and text of the error that came first; one that says why goes before one that
            only misses another process.
        loss: Which process died, and how.
    """

    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    loss: str = ""


@dataclass(slots=True)
class _Told:
    """One line of a process, or its end."""

    rank: int
    line: str | None


@dataclass(slots=True)
class _Ends:
    """What has been told of the ends so far."""

    result: dict[str, Any] | None = None
    errors: list[dict[str, str]] = field(default_factory=list)


class Crew:
    """Starts the processes; leaving the context kills those that are left.

    Start it from the thread that lives as long as the run: Linux kills the processes when the
    thread that started them ends.
    """

    def __init__(self, order: TrainingOrder, count: int) -> None:
        # Kept here, it needs no free port to be guessed.
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self._told: queue.Queue[_Told] = queue.Queue()
        self._processes: list[subprocess.Popen[str]] = []
        for rank in range(count):
            self._start(order, rank, count)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()

    @property
    def pids(self) -> list[int]:
        """By rank."""
        return [process.pid for process in self._processes]

    def follow(self, reporter: Reporter, should_stop: Callable[[], bool]) -> CrewEnd:
        """Pass on what is told until every process has ended."""
        ends, open_pipes = _Ends(), len(self._processes)
        asked, failed_at = False, float("inf")
        while open_pipes:
            try:
                told = self._told.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                told = None
            if told is not None and told.line is None:
                open_pipes -= 1
                if self._processes[told.rank].wait() != 0:
                    failed_at = min(failed_at, time.monotonic())
            elif told is not None and told.line is not None:
                self._take_in(told.rank, Message.read(told.line), ends, reporter)
            if not asked and should_stop():
                asked = True
                self._processes[0].send_signal(signal.SIGTERM)
            if time.monotonic() > failed_at + GRACE_SECONDS:
                for process in self._processes:
                    process.kill()
        return self._end(ends)

    def _start(self, order: TrainingOrder, rank: int, count: int) -> None:
        messages, messages_end = os.pipe()
        environment = {
            "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
            "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self._store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "ppgssl.training.rank", str(messages_end)],
            stdin=subprocess.PIPE,
            encoding="utf-8",
            pass_fds=[messages_end],
            env=environment,
        )
        os.close(messages_end)
        self._processes.append(process)
        self._say(rank, order.line())
        pipe = os.fdopen(messages, encoding="utf-8")
        threading.Thread(target=self._listen, args=(rank, pipe), daemon=True).start()

    def _listen(self, rank: int, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                if line.endswith("\n"):  # else the process was killed in the middle of it
                    self._told.put(_Told(rank, line))
        self._told.put(_Told(rank, None))

    def _say(self, rank: int, line: str) -> None:
        stdin = self._processes[rank].stdin
        assert stdin is not None
        try:
            stdin.write(line)
            stdin.flush()
        except BrokenPipeError:  # it died; its end tells how
            return

    def _take_in(self, rank: int, message: Message, ends: _Ends, reporter: Reporter) -> None:
        if message.tells == "error":
            ends.errors.append(message.content)
        elif rank == 0 and message.tells == "result":
            ends.result = message.content
        elif rank == 0:
            retell(message, reporter)
            if message.tells == "checkpoint":
                self._say(rank, "heard\n")

    def _end(self, ends: _Ends) -> CrewEnd:
        codes = [process.wait() for process in self._processes]
        if not any(codes):
            return CrewEnd(result=ends.result)
        errors = sorted(ends.errors, key=lambda error: error["code"] == "process_lost")
        losses = [
            f"process {rank + 1} of {len(codes)} was killed by {signal.Signals(-code).name}"
            for rank, code in enumerate(codes)
            if code < 0
        ]
        lost = errors[0]["text"] if errors else f"exit codes of the processes: {codes}"
        return CrewEnd(error=errors[0] if errors else None, loss="; ".join(losses) or lost)
