"""How fast WFDB recordings become a dataset, wavelet and all, and how well that fills the cores."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import wfdb

from benchmarks.timing import Figure, in_turn, ratio
from benchmarks.windows import windows
from ppgssl.data.prepare import PrepareSettings, prepare
from ppgssl.data.recordings import RecordingRef, find_recordings

FS_HZ = 125
RECORDINGS, HOURS = 50, 4
DISTINCT = 5
ROUNDS = 2


def measure() -> Iterator[Figure]:
    """Two hundred hours at 125 Hz, cut into ten minutes."""
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "wfdb"), Path(folder, "out")
        write(source)
        refs = find_recordings([source]).refs
        half = refs[: len(refs) // workers]
        works = {
            "one": lambda: prepare_all(half, out, workers=1),
            "all": lambda: prepare_all(refs, out, workers=workers),
        }
        taken = in_turn(works, ROUNDS)
    recorded_s = RECORDINGS * HOURS * 3600
    per_core = recorded_s * len(half) / len(refs) / statistics.median(taken["one"])
    yield Figure(
        "preparation of WFDB on one core, times real time",
        per_core,
        goal=">= 1500",
        note=f"{recorded_s * len(half) / len(refs) / 3600:g} hours",
    )
    yield Figure(
        f"preparation of WFDB, {workers} workers: share of {workers} cores' capacity",
        ratio(taken["one"], taken["all"]),
        goal=">= 0.8",
        note=f"{recorded_s / statistics.median(taken['all']):,.0f} times real time; workers are "
        "started each time, what they import is loaded once",
    )


def write(folder: Path) -> None:
    """Records of one channel in 16 bits, each of a subject of its own."""
    folder.mkdir()
    signals = windows(DISTINCT, HOURS * 3600 * FS_HZ)
    for number in range(RECORDINGS):
        wfdb.wrsamp(
            f"r{number:03d}",
            fs=FS_HZ,
            units=["NU"],
            sig_name=["PLETH"],
            p_signal=signals[number % DISTINCT][:, None].astype(np.float64),
            fmt=["16"],
            write_dir=str(folder),
        )


def prepare_all(refs: list[RecordingRef], out: Path, *, workers: int) -> None:
    """From files to files."""
    prepare(refs, out, PrepareSettings(), workers=workers, progress=lambda _: None)
    shutil.rmtree(out)
