"""The trainer itself, some steps at a time.

python -m benchmarks.trainer_rounds PRESET FOLDER STEPS [KEY=VALUE ...]

Answers each line of stdin with the seconds of so many steps of a run on the dataset in FOLDER.
Between rounds the run waits where it asks whether to stop.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from ppgssl.config import load_config
from ppgssl.data.dataset import open_dataset
from ppgssl.training.trainer import train


class Rounds:
    """A `should_stop` that is asked before every step."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._left = 0
        self._began: float | None = None

    def __call__(self) -> bool:
        """Wait where a round is over; true when nobody asks for another."""
        if self._left == 0:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()  # steps are queued, perhaps not computed
            if self._began is not None:
                print(time.perf_counter() - self._began, flush=True)  # noqa: T201
            if not sys.stdin.readline():
                return True
            self._left, self._began = self._steps, time.perf_counter()
        self._left -= 1
        return False


def main() -> None:
    """Until nobody asks any more."""
    preset, folder, steps, *overrides = sys.argv[1:]
    config = load_config(preset, ["device=cpu", "training.accumulation_steps=1", *overrides])
    with tempfile.TemporaryDirectory() as out:
        train(config, open_dataset(Path(folder)), Path(out), should_stop=Rounds(int(steps)))


if __name__ == "__main__":
    main()
