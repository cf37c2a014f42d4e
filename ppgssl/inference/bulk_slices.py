"""Bulk embedding by many workers: consecutive units make a slice, and a slice is a run of its own.

    WORK/slice-000000000000-000000000120/   parts (`bulk_parts.py`) of units 0 to 119
    WORK/slice-000000000120-000000000250/   ...

Slices follow from the units alone, so a run goes on after an interruption with any number of
workers; it is begun anew by `embed_units`, which cuts otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

from ppgssl.errors import CheckpointError
from ppgssl.inference.bulk import (
    BulkProgress,
    BulkResult,
    join,
    make_parts,
    open_parts,
)
from ppgssl.inference.bulk_sources import Unit
from ppgssl.inference.encoder import PpgEncoder, encoder_path, load_encoder
from ppgssl.inference.granularity import Granularity
from ppgssl.models.encoder_file import EncoderInfo
from ppgssl.pools.pool import OpenPool, Workplace

SLICE_SIZE = 64_000_000
"""Of its units together, bytes: minutes of a CPU core, seconds of a GPU."""


@dataclass(frozen=True, slots=True)
class NamedEncoder:
    """An encoder that each worker loads.

    Attributes:
        source: As `load_encoder` takes it.
        device: Where workers compute.
        info: Of the encoder that is meant.
    """

    source: str
    device: str
    info: EncoderInfo


@dataclass(frozen=True, slots=True)
class Slice:
    """Units that one worker embeds, and where."""

    units: Sequence[Unit]
    folder: Path

    @property
    def size(self) -> int:
        """Of all its units."""
        return sum(unit.size for unit in self.units)


def cut_slices(units: Sequence[Unit], work: Path) -> list[Slice]:
    """Consecutive units of about `SLICE_SIZE`."""
    ends = list(accumulate(unit.size for unit in units))
    numbers = [(end - unit.size) // SLICE_SIZE for unit, end in zip(units, ends, strict=True)]
    starts = [n for n, number in enumerate(numbers) if n == 0 or number != numbers[n - 1]] or [0]
    return [
        Slice(units[start:stop], work / f"slice-{start:012d}-{stop:012d}")
        for start, stop in zip(starts, [*starts[1:], len(units)], strict=True)
    ]


def embed_in_slices(
    units: Sequence[Unit],
    encoder: NamedEncoder,
    out: Path,
    *,
    work: Path,
    granularity: Granularity,
    on_progress: Callable[[BulkProgress], None],
    workers: int | None,
    open_pool: OpenPool,
) -> BulkResult:
    """Embed every window of every unit as `embed_units` does, by the workers of a pool.

    Rows are the same; embeddings may differ by rounding, as batches are filled otherwise.

    Args:
        units: What to embed.
        encoder: Embeds them.
        out: Parquet file, as `embed_units` writes it.
        work: Folder for what is finished. Remove it once `out` is where it belongs.
        granularity: A row per window, or per segment of it.
        on_progress: Called at the start and after each slice.
        workers: At work at the same time; None for one per CPU.
        open_pool: Where the workers are.

    Raises:
        RecordingError: No recording could be read.
        CheckpointError: Workers find another encoder in that place.
        RunError: Workers died.
    """
    slices = cut_slices(units, work)
    finished = [open_parts(a.units, encoder.info, a.folder, granularity) for a in slices]
    resumed = sum(parts.windows for parts in finished)
    missing = [n for n, a in enumerate(slices) if finished[n].next_unit < len(a.units)]
    left = {n: slices[n] for n in missing}
    size = sum(unit.size for unit in units)

    def tell() -> None:
        windows = sum(parts.windows for parts in finished)
        done = len(units) - sum(len(a.units) for a in left.values())
        fraction = 1 - sum(a.size for a in left.values()) / size if size else 1.0
        on_progress(BulkProgress(done, len(units), windows, fraction))

    tell()
    files = [*(unit.source for unit in units), encoder_path(encoder.source)]
    place = Workplace(["ppgssl.inference.bulk_slices"], work, files)
    with open_pool(workers, place) as pool:
        jobs = [(slices[n], encoder, granularity) for n in missing]
        for number, _ in pool.work_off(embed_slice, jobs):
            n = missing[number]
            done = left.pop(n)
            finished[n] = open_parts(done.units, encoder.info, done.folder, granularity)
            tell()
    return join(finished, out, resumed)


def embed_slice(piece: Slice, encoder: NamedEncoder, granularity: Granularity) -> None:
    """Embed what is missing of a slice. Runs in a worker.

    Raises:
        CheckpointError: There is another encoder than the one meant.
    """
    loaded = _load(encoder.source, encoder.device)
    if loaded.info.sha256 != encoder.info.sha256:
        raise CheckpointError(
            f"{encoder.source} changed since the run began: name a checkpoint that stays, such as "
            "RUN/epoch-10, and run the same again"
        )
    parts = open_parts(piece.units, loaded.info, piece.folder, granularity)
    make_parts(parts, piece.units, loaded, granularity, lambda _: None, lambda: False)


@cache
def _load(source: str, device: str) -> PpgEncoder:
    return load_encoder(source, device)
