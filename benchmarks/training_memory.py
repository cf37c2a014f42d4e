"""Memory of one training step, in a process of its own.

python -m benchmarks.training_memory PRESET [KEY=VALUE ...]    prints bytes

The most that the process held during three steps, less what it held with everything imported and
the windows made: the model, its gradients, the optimiser, and what a step computes.
"""

import resource
import sys

from benchmarks.training_step import TrainingStep
from ppgssl.config import load_config
from ppgssl.training.devices import keep_freed_memory


def main() -> None:
    """Measure and print."""
    preset, *overrides = sys.argv[1:]
    if load_config(preset, overrides).training.checkpoint_activations is not True:
        keep_freed_memory()
    before = peak_bytes()
    step = TrainingStep(preset, overrides)
    for _ in range(3):
        step()
    print(peak_bytes() - before)  # noqa: T201


def peak_bytes() -> int:
    """The most that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
