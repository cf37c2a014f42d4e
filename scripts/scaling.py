"""What recordings of up to a million hours take: bytes, hours of a GPU, network, money; what binds.

python scripts/scaling.py [--gpus-per-host 8] [--gpu-share 0.07] ... > the tables of docs/scaling.md
python scripts/scaling.py --simulate     plan an epoch of that many windows, and time it

Nothing here is a measurement of a GPU or of a network. The arithmetic starts from what was measured
on two cores (`Measured`) and what has to be assumed (`Assumed`); each assumption is an option.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property

import torch

from ppgssl.config import load_config
from ppgssl.data.order import plan_epoch, stored_rows
from ppgssl.data.schema import FLOAT32_BYTES, ROW_GROUP_MB, window_bytes, windows_per_group
from ppgssl.models.autoencoder import build_autoencoder, count_flops, count_parameters

HOURS = (100, 1_000, 10_000, 100_000, 1_000_000)
PRESET = "ssl_pretraining"
SHORT_WINDOW_SAMPLES = 1_250
BACKWARD_AND_FORWARD = 3  # of a forward pass: the backward pass is two products for each of its own
INDEX_BYTES = 41  # a window: row, block, turn, number and two places in files; data/windows.py


@dataclass(frozen=True, slots=True)
class Measured:
    """On two cores, without a GPU; commands and dates: docs/log.md.

    Attributes:
        prepare_core_s: Core-seconds to prepare an hour of a recording: 1,000 took 31.5 s on two.
        disk_bytes_per_s: Cold reads of shuffled windows.
    """

    prepare_core_s: float = 2 * 31.5 / 1_000
    disk_bytes_per_s: float = 2_219 * 600_000


@dataclass(frozen=True, slots=True)
class Assumed:
    """What no run of ours has shown.

    Attributes:
        gpu_tflop_per_s: Peak of one GPU in bfloat16: an A100's data sheet.
        gpu_share: Of that peak that training reaches: what 100 ms for a micro-batch on a T4 mean.
        gpus_per_host: They share one disk and one network card.
        most_gpus: More are not rented at once.
        network_gbit_per_s: Between two hosts.
        gpu_dollars: An hour of one GPU.
        core_dollars: An hour of one core.
        storage_dollars: A month of a terabyte.
    """

    gpu_tflop_per_s: float = 312.0
    gpu_share: float = 0.07
    gpus_per_host: int = 8
    most_gpus: int = 32
    network_gbit_per_s: float = 25.0
    gpu_dollars: float = 2.0
    core_dollars: float = 0.05
    storage_dollars: float = 23.0


class Model:
    """The preset's encoder and decoder, counted and not estimated."""

    def __init__(self) -> None:
        self.config = load_config(PRESET, [])
        self._network = build_autoencoder(self.config)

    @cached_property
    def training_flops(self) -> float:
        """Of one window, forward and backward."""
        samples = self.config.data.window_samples
        vector = torch.zeros(1, self.config.model.latent_dim)
        forward = self.embedding_flops + count_flops(self._network.decoder, vector, samples)
        return BACKWARD_AND_FORWARD * forward

    @cached_property
    def embedding_flops(self) -> float:
        """Of one window, the encoder alone."""
        window = torch.zeros(1, 1, self.config.data.window_samples)
        return count_flops(self._network.encoder, window)

    @cached_property
    def gradient_bytes(self) -> int:
        """What one process tells the others in each step."""
        return FLOAT32_BYTES * count_parameters(self._network)


@dataclass(frozen=True, slots=True)
class Scale:
    """One size of archive, trained for all epochs of the preset within about a day."""

    hours: int
    model: Model
    measured: Measured
    assumed: Assumed

    @property
    def windows(self) -> int:
        """Of the preset's length."""
        return round(self.hours * 3600 / self.model.config.data.window_seconds)

    @property
    def dataset_bytes(self) -> int:
        """Recorded and denoised."""
        return self.windows * window_bytes(self.model.config.data.window_samples)

    @property
    def prepare_core_hours(self) -> float:
        """From raw recordings to a dataset."""
        return self.hours * self.measured.prepare_core_s / 3600

    @property
    def window_gpu_s(self) -> float:
        """One GPU's time to train on one window."""
        peak = self.assumed.gpu_tflop_per_s * 1e12
        return self.model.training_flops / (peak * self.assumed.gpu_share)

    @property
    def gpu_hours(self) -> float:
        """Computing alone, all epochs."""
        return self.windows * self.model.config.training.epochs * self.window_gpu_s / 3600

    @property
    def gpus(self) -> int:
        """A power of two that computes all epochs within a day, where there are as many."""
        wanted = 2 ** math.ceil(math.log2(max(1.0, self.gpu_hours / 24)))
        return min(wanted, self.assumed.most_gpus)

    @property
    def hosts(self) -> int:
        """With one disk and one network card each."""
        return -(-self.gpus // self.assumed.gpus_per_host)

    @property
    def step_windows(self) -> int:
        """The preset's; more GPUs than it has micro-batches take one micro-batch each."""
        training = self.model.config.training
        return training.micro_batch * max(training.accumulation_steps, self.gpus)

    @property
    def step_s(self) -> dict[str, float]:
        """Seconds of one step by what takes them. Reading is ahead of computing, telling is not."""
        per_host = self.step_windows / self.hosts
        read = per_host * window_bytes(self.model.config.data.window_samples)
        exchanged = 2 * (self.hosts - 1) / self.hosts * self.model.gradient_bytes  # a ring
        return {
            "GPU": self.step_windows * self.window_gpu_s / self.gpus,
            "disk": read / self.measured.disk_bytes_per_s,
            "network": exchanged * 8 / (self.assumed.network_gbit_per_s * 1e9),
        }

    @property
    def bottleneck(self) -> str:
        """What a step waits for longest."""
        return max(self.step_s, key=self.step_s.__getitem__)

    @property
    def days(self) -> float:
        """From the first step to the last, validation left out."""
        step = max(self.step_s["GPU"], self.step_s["disk"]) + self.step_s["network"]
        steps = self.windows * self.model.config.training.epochs / self.step_windows
        return steps * step / 86400

    @property
    def dollars(self) -> float:
        """Preparation, training as long as it lasts, and a month of the dataset."""
        return (
            self.prepare_core_hours * self.assumed.core_dollars
            + self.days * 24 * self.gpus * self.assumed.gpu_dollars
            + self.dataset_bytes / 1e12 * self.assumed.storage_dollars
        )

    @property
    def embedding_gpu_hours(self) -> float:
        """To embed everything once."""
        share = self.model.embedding_flops / self.model.training_flops
        return self.gpu_hours / self.model.config.training.epochs * share

    @property
    def index_gigabytes(self) -> float:
        """What one process keeps of the order of an epoch in windows of ten seconds."""
        short = SHORT_WINDOW_SAMPLES / self.model.config.data.fs_hz
        return self.hours * 3600 / short * INDEX_BYTES / 1e9


def tables(measured: Measured, assumed: Assumed) -> Iterator[str]:
    """As Markdown: what the archive takes by itself, then what training on it takes."""
    model = Model()
    scales = [Scale(hours, model, measured, assumed) for hours in HOURS]
    yield (
        "| hours | windows of ten minutes | dataset | preparation, core-hours "
        "| index, ten-second windows | embed once, GPU-hours |"
    )
    yield "|---|---|---|---|---|---|"
    for s in scales:
        yield (
            f"| {s.hours:,} | {s.windows:,} | {_bytes(s.dataset_bytes)} "
            f"| {_number(s.prepare_core_hours)} | {_bytes(s.index_gigabytes * 1e9)} "
            f"| {_number(s.embedding_gpu_hours)} |"
        )
    yield ""
    yield (
        "| hours | computing, GPU-hours | GPUs (hosts) | a step, ms: GPU, disk, network | days "
        "| dollars | a step waits longest for |"
    )
    yield "|---|---|---|---|---|---|---|"
    for s in scales:
        parts = ", ".join(f"{seconds * 1e3:.0f}" for seconds in s.step_s.values())
        yield (
            f"| {s.hours:,} | {_number(s.gpu_hours)} | {s.gpus} ({s.hosts}) | {parts} "
            f"| {_number(s.days)} | {_number(s.dollars)} | {s.bottleneck} |"
        )


def simulate(hours: int) -> str:
    """Plan an epoch over so many hours of ten-minute windows, none of which exist."""
    config = load_config(PRESET, [])
    samples = config.data.window_samples
    windows = round(hours * 3600 / config.data.window_seconds)
    in_group = windows_per_group(samples, ROW_GROUP_MB)
    groups = [in_group] * (windows // in_group)
    in_block = int(config.data.shuffle_buffer_mb * 1e6) // window_bytes(samples)
    start = time.perf_counter()
    blocks = plan_epoch(groups, windows_per_block=in_block, seed=0, epoch=0)
    rows = stored_rows(blocks, groups)
    taken = time.perf_counter() - start
    return (
        f"{hours:,} hours: {len(rows):,} windows planned in {taken:.1f} s, {len(blocks):,} blocks"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _bytes(value: float) -> str:
    unit, divisor = ("TB", 1e12) if value >= 1e12 else ("GB", 1e9) if value >= 1e9 else ("MB", 1e6)
    return f"{_number(value / divisor)} {unit}"


def main() -> None:
    """Print the tables, or plan an epoch of every size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulate", action="store_true", help="Plan an epoch of every size.")
    for field in fields(Assumed):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=type(field.default), default=field.default)
    options = vars(parser.parse_args())
    if options.pop("simulate"):
        lines = map(simulate, HOURS)
    else:
        lines = tables(Measured(), Assumed(**options))
    for line in lines:
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
