"""Training on a CPU: against its floor, a plain loop, its own speed from memory; its memory."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.rounds import processes_in_turn
from benchmarks.timing import GEMM_SIZE, Figure, in_turn, ratio
from benchmarks.training_step import TrainingStep
from benchmarks.windows import FS_HZ, LONG, windows
from ppgssl.data.schema import Split, windows_table
from ppgssl.data.writer import DatasetWriter
from ppgssl.training.devices import keep_freed_memory

BATCH = 8
ROUNDS = 5
STEPS_A_ROUND = 3
PRESETS = {"ssl_pretraining": "the default", "as_drawn": "the reference as drawn"}


def measure() -> Iterator[Figure]:
    """Micro-batches of eight windows of ten minutes, float32."""
    for preset in PRESETS:
        yield memory(preset)
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "windows", BATCH * STEPS_A_ROUND * (ROUNDS + 2))
        yield against_plain_loop(Path(folder) / "windows")
        yield from_disk(Path(folder) / "windows")
    keep_freed_memory()
    for preset in PRESETS:
        yield share_of_matrix_rate(preset)


def share_of_matrix_rate(preset: str) -> Figure:
    """Of a whole step, augmentation to optimiser; only the layers' FLOPs count as work."""
    step = TrainingStep(preset, [f"training.batch_size={BATCH}"])
    matrix = torch.randn(GEMM_SIZE, GEMM_SIZE)
    products = 20

    def multiply() -> None:
        for _ in range(products):
            torch.mm(matrix, matrix)

    taken = in_turn({"gemm": multiply, "step": step}, ROUNDS)
    work, product_work = step.flops(), products * 2 * GEMM_SIZE**3
    share = work / product_work * ratio(taken["gemm"], taken["step"])
    return Figure(
        f"training step, {BATCH} x {LONG:,}, {PRESETS[preset]}: share of the matrix rate",
        share,
        goal=">= 0.65",
        note=f"{work / 1e9:.0f} GFLOP in {statistics.median(taken['step']):.2f} s",
    )


def against_plain_loop(folder: Path) -> Figure:
    """Windows/s of the trainer against `benchmarks/plain_loop.py`, a process each."""
    works = {
        "plain": ["benchmarks.plain_loop"],
        "ppgssl": ["benchmarks.trainer_rounds", "as_drawn", str(folder), "1"],
    }
    taken = processes_in_turn(works, ROUNDS)
    per_s = {name: BATCH / statistics.median(seconds) for name, seconds in taken.items()}
    return Figure(
        f"training, {BATCH} x {LONG:,}: windows/s against a plain PyTorch loop",
        ratio(taken["plain"], taken["ppgssl"]),
        goal=">= 2.5",
        note=f"{per_s['ppgssl']:.2f} against {per_s['plain']:.2f} windows/s",
    )


def from_disk(folder: Path) -> Figure:
    """The trainer fed from a dataset folder against the same one held in memory."""
    command = ["benchmarks.trainer_rounds", "ssl_pretraining", str(folder), str(STEPS_A_ROUND)]
    works = {"disk": command, "memory": [*command, "data.load_in_memory=true"]}
    taken = processes_in_turn(works, ROUNDS)
    return Figure(
        f"training, {BATCH} x {LONG:,}: windows/s fed from disk against from memory",
        ratio(taken["memory"], taken["disk"]),
        goal=">= 0.97",
        note=f"{BATCH * STEPS_A_ROUND / statistics.median(taken['disk']):.2f} windows/s",
    )


def memory(preset: str) -> Figure:
    """The most that steps add to a process that has everything imported, at its least."""
    megabytes = {
        checkpointed: int(
            subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.training_memory", preset),
                    f"training.batch_size={BATCH}",
                    f"training.checkpoint_activations={checkpointed}",
                ],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
        )
        / 1e6
        for checkpointed in ("true", "false")
    }
    return Figure(
        f"training step, {BATCH} x {LONG:,}, {PRESETS[preset]}: memory, activations computed twice",
        megabytes["true"],
        unit="MB",
        goal="<= 600",
        note=f"{megabytes['false']:.0f} MB where they are kept",
    )


def write_dataset(out: Path, count: int, samples: int = LONG) -> None:
    """Windows to train on, and one to validate on."""
    with DatasetWriter(out, fs_hz=FS_HZ, window_samples=samples) as writer:
        splits: list[tuple[Split, int]] = [("train", count), ("val", 1)]
        for split, held in splits:
            signals = windows(held, samples)
            names = [f"{split}-{number}" for number in range(len(signals))]
            table = windows_table(
                signal=signals,
                denoised=signals,
                recording_ids=names,
                subject_ids=names,
                start_s=np.zeros(len(names)),
                valid_s=np.full(len(names), samples / FS_HZ),
                sqi=np.ones(len(names)),
            )
            writer.write(table, split)
        writer.finish()
