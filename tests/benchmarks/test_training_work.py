"""The FLOPs that a training step is said to take, counted by hand for layers whose sum is short."""

from typing import cast

import torch
from torch import nn

from benchmarks.training_step import TrainingStep
from benchmarks.training_work import step_bytes, step_flops
from ppgssl.models.autoencoder import Autoencoder
from ppgssl.views import Views


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv1d(1, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose1d(4, 2, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(x))


def test_each_gradient_that_is_needed_counts_like_the_forward_pass():
    windows = torch.zeros(3, 1, 16)
    down = 2 * 3 * 8 * 4 * 3  # windows, positions, output channels, taps
    up = 2 * 3 * 8 * 4 * 2 * 2  # windows, input positions, channels in and out, taps

    work = step_flops(cast(Autoencoder, TwoLayers()), [Views.plain(windows, windows)])

    assert work == 2 * down + 3 * up  # the samples need no gradient


def test_the_benchmarked_step_trains():
    step = TrainingStep("small", ["training.batch_size=2"], samples=1_250)

    first, *_, last = [float(step().losses["total"]) for _ in range(6)]

    assert last < first


def test_bytes_are_those_of_inputs_outputs_and_their_gradients():
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 4, 3, padding=1)
            self.norm = nn.BatchNorm1d(4)
            self.close = nn.Conv1d(4, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.close(self.norm(self.conv(x)))

    windows = torch.zeros(3, 1, 16)
    samples = 3 * 16
    conv = 2 * (samples + 4 * samples)  # samples and output, forward and backward
    norm = 3 * 4 * samples
    close = 2 * (4 * samples + 2 * samples) + 4 * samples  # and the gradient of its input

    moved = step_bytes(cast(Autoencoder, Normalised()), [Views.plain(windows, windows)], 2)

    assert moved == 2 * (conv + norm + close)
