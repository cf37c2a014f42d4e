"""Bulk embedding of files against the encoder called in process on the same windows."""

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.timing import Figure, in_turn, ratio
from benchmarks.windows import FS_HZ, SHORT, windows
from ppgssl.data.recordings import find_recordings
from ppgssl.inference.bulk import embed_units
from ppgssl.inference.bulk_sources import recording_units
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.granularity import Granularity

RECORDINGS, MINUTES = 24, 20
ROUNDS = 5


def measure() -> Iterator[Figure]:
    """Hours of recordings on disk, cut into windows of ten seconds."""
    encoder = load_encoder("default")
    per_recording = MINUTES * 60 * round(FS_HZ) // SHORT
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, samples in enumerate(windows(RECORDINGS, MINUTES * 60 * round(FS_HZ))):
            np.save(root / f"{number:03d}.npy", samples)
        refs = find_recordings([root], fs_hz=FS_HZ).refs
        units = recording_units(refs, SHORT / FS_HZ)
        batch = windows(encoder.windows_at_once(SHORT), SHORT)
        num_windows = RECORDINGS * per_recording

        def in_bulk() -> None:
            out, work = root / "embeddings.parquet", root / "parts"
            result = embed_units(
                units,
                encoder,
                out,
                work=work,
                granularity=Granularity.WINDOW,
                on_progress=lambda _: None,
            )
            assert result.windows == num_windows
            shutil.rmtree(work)

        def in_process() -> None:
            for _ in range(num_windows // len(batch)):
                encoder.embed_sound(batch, FS_HZ, Granularity.WINDOW)

        taken = in_turn({"bulk": in_bulk, "in process": in_process}, ROUNDS)
    share = num_windows // len(batch) * len(batch) / num_windows
    yield Figure(
        "bulk embedding, windows/s against the encoder in process",
        ratio(taken["in process"], taken["bulk"]) / share,
        goal=">= 0.97",
        note=f"{num_windows / statistics.median(taken['bulk']):.0f} windows/s",
    )
