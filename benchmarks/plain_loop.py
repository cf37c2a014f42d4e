"""A training loop as one writes it first: DataLoader, NumPy augmentation, layers as written.

python -m benchmarks.plain_loop    answers each line of stdin with the seconds of one step

The model, the loss and the optimiser are those of `configs/as_drawn.yaml`, the augmentations the
four of the reference (shift, gain, wander, noise). Windows lie in memory. Nothing is tuned: neither
the allocator nor the layout, and the loss of every step is looked at.
"""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.rounds import answer_rounds
from benchmarks.windows import FS_HZ, LONG, windows
from ppgssl.config import Config, load_config
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.objectives.reconstruction import reconstruction_terms

WINDOWS = 32

Pair = tuple[np.ndarray, np.ndarray]


class AugmentedWindows(Dataset[Pair]):
    """Standardised windows in memory; each is augmented when it is asked for."""

    def __init__(self, config: Config, count: int, samples: int) -> None:
        signals = windows(count, samples)
        self.signals = (signals - signals.mean(1, keepdims=True)) / signals.std(1, keepdims=True)
        self.config = config.augmentation

    def __len__(self) -> int:
        return len(self.signals)

    def __getitem__(self, index: int) -> Pair:
        """Input and target, (1, samples) each."""
        config, rng = self.config, np.random.default_rng()
        clean = self.signals[index]
        furthest = config.temporal_shift_range * len(clean)
        clean = np.roll(clean, round(rng.uniform(-furthest, furthest)))
        clean = clean * np.float32(rng.uniform(*config.amplitude_scale_range))
        noisy = clean
        if rng.random() < config.baseline_wander_prob:
            angle = 2 * np.pi * config.baseline_wander_freq * np.arange(len(clean)) / FS_HZ
            noisy = noisy + rng.uniform(0.1, 1.0) * np.sin(angle + rng.uniform(0, 2 * np.pi))
        if rng.random() < config.noise_prob:
            noisy = noisy + 0.1 * rng.standard_normal(len(clean))
        return noisy[None].astype(np.float32), clean[None]


def batches(config: Config, samples: int, workers: int) -> Iterator[list[Tensor]]:
    """One epoch after the other."""
    dataset = AugmentedWindows(config, WINDOWS, samples)
    loader = DataLoader(
        dataset, config.training.micro_batch, shuffle=True, num_workers=workers, drop_last=True
    )
    while True:
        yield from loader


def plain_steps(
    config: Config, samples: int, device: torch.device, *, workers: int, amp: torch.dtype
) -> Iterator[float]:
    """Losses of one optimiser step after the other."""
    torch.manual_seed(0)
    model = build_autoencoder(config).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    for inputs, targets in batches(config, samples, workers):
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=amp, enabled=amp is not torch.float32):
            output = model(inputs).output
        loss = reconstruction_terms(output, targets, config.loss).total
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), config.training.max_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        yield loss.item()


def main() -> None:
    """On the CPU in float32, windows of ten minutes."""
    steps = plain_steps(
        load_config("as_drawn"), LONG, torch.device("cpu"), workers=2, amp=torch.float32
    )
    answer_rounds(lambda: next(steps), sys.stdin, sys.stdout)


if __name__ == "__main__":
    main()
