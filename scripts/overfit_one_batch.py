"""The check of the original implementation: can the model learn one batch of long windows by heart?

    python scripts/overfit_one_batch.py --data DIR --config ssl_pretraining --steps 300

DIR is a dataset folder; the first windows of its training split, in the run's own order, are learnt
without augmentation. Prints the explained variance every ten steps and ends at --enough.
"""

import argparse
import itertools
from pathlib import Path

import torch
from rich.console import Console

from ppgssl.config import load_config
from ppgssl.data.dataset import open_dataset
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.threads import let_idle_threads_sleep
from ppgssl.training.devices import keep_freed_memory, resolve_device
from ppgssl.training.self_check import STEPS_PER_LOOK, overfit
from ppgssl.training.validation import to_device
from ppgssl.views import Views


def main() -> None:
    """Learn one batch, and say how far it got."""
    options = parse_arguments()
    dataset = open_dataset(options.data)
    config = load_config(options.config, options.set, base=dataset.settings)
    device = resolve_device(config.device)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    batch = next(dataset.split("train").batches(options.windows, seed=config.seed))
    views = Views.plain(*to_device(batch, device))
    objective = PretrainingObjective(build_autoencoder(config), config).to(device)
    console = Console()
    console.print(f"{options.windows} windows of {dataset.window_samples:,} samples on {device}")
    looks = overfit(objective, views)
    for look, explained in enumerate(itertools.islice(looks, options.steps // STEPS_PER_LOOK), 1):
        console.print(f"step {look * STEPS_PER_LOOK:4d}: explains {explained:.3f}")
        if explained >= options.enough:
            break


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", default="ssl_pretraining")
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--enough", type=float, default=0.95)
    parser.add_argument("--set", action="append", default=[], metavar="key.path=value")
    return parser.parse_args()


if __name__ == "__main__":
    let_idle_threads_sleep()
    main()
