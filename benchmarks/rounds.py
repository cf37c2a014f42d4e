"""Works in processes of their own, timed in turn: one process asks for rounds, others do them.

What is compared has to have an allocator, threads and memory of its own; what is not being timed
waits for its next line.
"""

import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TextIO

from benchmarks.timing import seconds


class Process:
    """A module that answers each line with the seconds of one round."""

    def __init__(self, pipe: "subprocess.Popen[str]", name: str) -> None:
        self._pipe = pipe
        self._name = name

    def round(self) -> float:
        """Seconds of one more round."""
        assert self._pipe.stdin is not None
        assert self._pipe.stdout is not None
        self._pipe.stdin.write("round\n")
        self._pipe.stdin.flush()
        answer = self._pipe.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._name} ended without an answer; what it said is above")
        return float(answer)


@contextmanager
def process(module: str, *arguments: str) -> Generator[Process]:
    """`python -m module arguments`, ended when the block is left."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as pipe:
        try:
            yield Process(pipe, " ".join(command[1:]))
        finally:
            pipe.terminate()


def processes_in_turn(works: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round of each module and its arguments, A B A B ..., after one to warm up."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(process(*work)) for name, work in works.items()}
        for one in running.values():
            one.round()
        taken: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, one in running.items():
                taken[name].append(one.round())
        return taken


def answer_rounds(work: Callable[[], object], asked: TextIO, answers: TextIO) -> None:
    """The side that works: until nobody asks any more."""
    for _ in asked:
        answers.write(f"{seconds(work)}\n")
        answers.flush()
