"""How fast windows come from the disk, against a bare sequential read of the same bytes.

Warm: the files are in the page cache. Cold: they were dropped from it first. The plain reads copy
into one buffer of a batch's size, again and again; the loader hands out batches of their own.
The larger dataset takes 6.5 GB of the temporary folder, and three minutes on two cores.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Figure, in_turn, ratio, seconds
from benchmarks.windows import FS_HZ, LONG, SHORT, windows
from ppgssl.config import load_config
from ppgssl.data.dataset import open_dataset
from ppgssl.data.parquet_windows import ParquetWindows, open_shards
from ppgssl.data.schema import windows_per_group, windows_table
from ppgssl.data.windows import Windows
from ppgssl.data.writer import DatasetWriter
from ppgssl.training.devices import keep_freed_memory
from ppgssl.training.validation import to_device
from ppgssl.views import make_views

ROUNDS = 5
COLD_ROUNDS = 3
AUGMENTED_BATCHES = 20


@dataclass(frozen=True, slots=True)
class Size:
    """A dataset that is read, and in what batches."""

    windows: int
    samples: int
    batch: int

    @property
    def batch_bytes(self) -> int:
        """Of both signals."""
        return 8 * self.samples * self.batch

    def __str__(self) -> str:
        return f"{self.windows:,} x {self.samples:,}"


SIZES = (Size(4_133, LONG, 8), Size(650_000, SHORT, 64))


def measure() -> Iterator[Figure]:
    """Each size, on the disk of the temporary folder."""
    keep_freed_memory()  # as a training run does
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), size)
            yield from figures(Path(folder), size)


def write(folder: Path, size: Size) -> None:
    """A dataset of `size.windows`; a row group's windows are the same in each row group."""
    per_group = windows_per_group(size.samples)
    signal = windows(per_group, size.samples)
    zeros, names = np.zeros(per_group), ["simulated"] * per_group
    rows = windows_table(
        signal=signal,
        denoised=signal,
        recording_ids=names,
        subject_ids=names,
        start_s=zeros,
        valid_s=zeros,
        sqi=zeros,
    )
    with DatasetWriter(folder, fs_hz=FS_HZ, window_samples=size.samples) as writer:
        for first in range(0, size.windows, per_group):
            writer.write(rows.slice(0, min(per_group, size.windows - first)), "train")
        writer.finish()


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """Warm, cold, in memory and augmented."""
    said = {
        "shuffled": "shuffled batches",
        "memmap": "numpy.memmap in order",
        "decoded": "shuffled batches, decoded by pyarrow",
    }
    for state, taken in (("warm", warm(folder, size)), ("cold", cold(folder, size))):
        for name, words in said.items():
            if name in taken:
                yield Figure(
                    f"loader, {size}, {state}: {words} against a bare read",
                    ratio(taken["read"], taken[name]),
                    goal=">= 0.8" if name == "shuffled" else "",
                    note=rate(size, taken[name]),
                )
    windows = open_dataset(folder).split("train")
    yield Figure(
        f"loader, {size}: memory of a pass, beside the mapped files",
        anonymous_mb(windows, size),
        "MB",
        note=f"a batch has {size.batch_bytes / 1e6:.1f} MB",
    )
    yield augmented(windows, size)


def warm(folder: Path, size: Size) -> dict[str, list[float]]:
    """Seconds of a pass, all files in the page cache, as in every epoch but the first."""
    files = sorted(folder.glob("*.parquet"))
    windows = open_dataset(folder).split("train")
    decoder = Windows(ParquetWindows(open_shards(folder, size.samples), "train", size.samples))
    works = {
        "read": lambda: read(files, size.batch_bytes),
        "memmap": lambda: read_memmap(files, size.batch_bytes),
        "shuffled": lambda: run_through(windows, size),
        "decoded": lambda: run_through(decoder, size),
    }
    return in_turn(works, ROUNDS)


def cold(folder: Path, size: Size) -> dict[str, list[float]]:
    """Seconds of the first pass of a process, no file in the page cache."""
    files = sorted(folder.glob("*.parquet"))
    works = {
        "read": lambda: read(files, size.batch_bytes),
        "memmap": lambda: read_memmap(files, size.batch_bytes),
        "shuffled": lambda: run_through(open_dataset(folder).split("train"), size),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(COLD_ROUNDS):
        for name, work in works.items():
            drop(files)
            taken[name].append(seconds(work))
    return taken


def rate(size: Size, taken: Sequence[float]) -> str:
    """Windows a second, and bytes."""
    median = statistics.median(taken)
    gigabytes = 8 * size.samples * size.windows / 1e9
    return f"{size.windows / median:,.0f} windows/s, {gigabytes / median:.1f} GB/s"


def read(files: Sequence[Path], batch_bytes: int) -> None:
    """All bytes in order, into one buffer."""
    buffer = bytearray(batch_bytes)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def read_memmap(files: Sequence[Path], batch_bytes: int) -> None:
    """The same through `numpy.memmap`."""
    buffer = np.empty(batch_bytes, np.uint8)
    for path in files:
        mapped = np.memmap(path, np.uint8, "r")
        for start in range(0, len(mapped), batch_bytes):
            part = mapped[start : start + batch_bytes]
            buffer[: len(part)] = part


def run_through(windows: Windows, size: Size) -> None:
    """One shuffled epoch."""
    handed_out = sum(len(batch) for batch in windows.batches(size.batch, seed=0))
    assert handed_out == size.windows


def drop(files: Sequence[Path]) -> None:
    """Out of the page cache. What is mapped would stay there, and so would what is not written."""
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def anonymous_mb(windows: Windows, size: Size) -> float:
    """By how much memory that is no file's grows in an epoch, at most."""
    before = anonymous_bytes()
    batches = enumerate(windows.batches(size.batch, seed=0, epoch=1))
    most = max(anonymous_bytes() for number, _ in batches if number % 100 == 0)
    return (most - before) / 2**20


def anonymous_bytes(process: str = "self") -> int:
    """Memory of a process, by its id, that is no file's; none once it has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def augmented(windows: Windows, size: Size) -> Figure:
    """The loader beside what is done to its batches before the first layer."""
    config = load_config("ssl_pretraining").augmentation
    generator = torch.Generator().manual_seed(0)
    loading, augmenting = 0.0, 0.0
    batches = windows.batches(size.batch, seed=0)
    for _ in range(AUGMENTED_BATCHES):
        began = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        signals = to_device(batch, torch.device("cpu"))
        make_views(*signals, config, fs_hz=FS_HZ, generator=generator)
        augmenting += time.perf_counter() - loaded
        loading += loaded - began
    return Figure(
        f"loader, {size}: share of loading and augmenting that is loading",
        loading / (loading + augmenting),
        note=f"{AUGMENTED_BATCHES * size.batch / (loading + augmenting):,.0f} windows/s augmented",
    )
