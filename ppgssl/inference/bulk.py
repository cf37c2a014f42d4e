"""Embed archives: a stream of windows in, a Parquet file of embeddings out.

Memory holds one recording and one batch, however many recordings there are, and the next recording
is read while the encoder computes. What is done is kept in a folder of parts (`bulk_parts.py`), so
that a run that was interrupted continues where it was.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from ppgssl.errors import RecordingError
from ppgssl.inference.bulk_parts import Parts
from ppgssl.inference.bulk_sources import RawWindow, Unit
from ppgssl.inference.embedding_file import embeddings_schema
from ppgssl.inference.encoder import PpgEncoder
from ppgssl.inference.granularity import Granularity

PART_SAMPLES = 20_000_000
"""Windows of so many samples are lost at most where a run is killed: about half a minute's work."""


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far a run is: units (recordings, or row groups of a dataset) and windows."""

    units: int
    of_units: int
    windows: int
    name: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk run wrote, and the recordings that it could not read.

    `resumed` windows were embedded by an earlier run that was interrupted.
    """

    windows: int
    refused: int
    resumed: int
    unreadable: dict[str, str]


@dataclass(slots=True)
class _Part:
    """What is known of a part once its windows have been handed out."""

    next_unit: int
    windows: int = 0
    samples: int = 0
    unreadable: dict[str, str] = field(default_factory=dict[str, str])


class StoppedError(Exception):
    """The run was asked to stop; the parts that it finished are kept."""


def embed_units(
    units: Sequence[Unit],
    encoder: PpgEncoder,
    out: Path,
    *,
    work: Path,
    granularity: Granularity,
    on_progress: Callable[[BulkProgress], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> BulkResult:
    """Embed every window of every unit, in order.

    A window that cannot be embedded keeps its row, with a null embedding and the reason in the
    column `fault`.

    Args:
        units: What to embed, piece by piece.
        encoder: Embeds them.
        out: Parquet file with recording_id, start_s, embedding, quality, fault.
        work: Folder for finished parts; what an earlier run of the same units, encoder and
            granularity left there is taken over, and it is gone at the end.
        granularity: A row per window, or per segment of it.
        on_progress: Called after each batch and each unit.
        should_stop: Asked before each batch.

    Raises:
        RecordingError: No recording could be read.
        StoppedError: It was asked to stop.
    """
    schema = embeddings_schema(encoder.info.embedding_dim, encoder.info.sha256)
    parts = Parts.open(work, schema, [unit.identity for unit in units], encoder, granularity)
    resumed = parts.windows

    def tell(unit: int, windows: int, name: str) -> None:
        on_progress(BulkProgress(unit, len(units), windows, name))

    tell(parts.next_unit, parts.windows, "")
    while parts.next_unit < len(units):
        part = _Part(parts.next_unit)
        stream = _windows(units, part, lambda name: tell(part.next_unit, parts.windows, name))  # noqa: B023
        with parts.writing() as write:
            for batch in _batches(stream, encoder):
                if should_stop():
                    raise StoppedError
                write(_embed(batch, encoder, granularity, schema))
                part.windows += len(batch)
                tell(part.next_unit, parts.windows + part.windows, batch[-1].recording_id)
        parts.add(part.next_unit, part.windows, part.unreadable)
    if not parts.windows and parts.unreadable:
        recording_id, reason = next(iter(parts.unreadable.items()))
        raise RecordingError(f"no recording could be read; {recording_id}: {reason}")
    refused = parts.join(out)
    return BulkResult(parts.windows, refused, resumed, parts.unreadable)


def _windows(
    units: Sequence[Unit], part: _Part, on_unit: Callable[[str], None]
) -> Iterator[RawWindow]:
    """The windows of one part: of whole units from its first on, until it is large enough."""
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as reader:
        loading = _load(reader, units, part.next_unit)
        while loading is not None and part.samples < PART_SAMPLES:
            unit, following = units[part.next_unit], _load(reader, units, part.next_unit + 1)
            try:
                for window in loading.result():
                    part.samples += len(window.samples)
                    yield window
            except RecordingError as error:
                part.unreadable[unit.name] = str(error)
            part.next_unit += 1
            on_unit(unit.name)
            loading = following


def _load(
    reader: ThreadPoolExecutor, units: Sequence[Unit], place: int
) -> "Future[Iterable[RawWindow]] | None":
    return reader.submit(units[place].load) if place < len(units) else None


def _batches(windows: Iterable[RawWindow], encoder: PpgEncoder) -> Iterator[list[RawWindow]]:
    """Consecutive windows of one length and rate, as many as a forward pass holds."""
    for (samples, fs_hz), alike in groupby(windows, key=lambda w: (len(w.samples), w.fs_hz)):
        most = encoder.windows_per_pass(samples, fs_hz)
        batch: list[RawWindow] = []
        for window in alike:
            batch.append(window)
            if len(batch) == most:
                yield batch
                batch = []
        if batch:
            yield batch


def _embed(
    batch: list[RawWindow], encoder: PpgEncoder, granularity: Granularity, schema: pa.Schema
) -> pa.Table:
    faults = [encoder.find_fault(window.samples, window.fs_hz) for window in batch]
    sound = [window for window, fault in zip(batch, faults, strict=True) if fault is None]
    rows = iter(_rows(sound, encoder, granularity))
    starts_s = encoder.row_starts_s(len(batch[0].samples), batch[0].fs_hz, granularity)
    records: list[dict[str, Any]] = []
    for window, fault in zip(batch, faults, strict=True):
        names = {"recording_id": window.recording_id, "fault": fault}
        if fault is not None:
            records.append({**names, "start_s": window.start_s})
            continue
        for start_s, (embedding, quality) in zip(starts_s, next(rows), strict=True):
            values = {"embedding": embedding, "quality": quality}
            records.append({**names, "start_s": window.start_s + start_s, **values})
    return pa.Table.from_pylist(records, schema=schema)


def _rows(
    windows: list[RawWindow], encoder: PpgEncoder, granularity: Granularity
) -> Iterator[list[tuple[Float[np.ndarray, " D"], float]]]:
    """Of each window, its rows' embeddings and qualities."""
    if not windows:
        return
    stacked = np.stack([window.samples for window in windows])
    rows = encoder.embed_sound(stacked, windows[0].fs_hz, granularity)
    for vectors, qualities in zip(rows.embedding, rows.quality, strict=True):
        yield list(zip(vectors, qualities.tolist(), strict=True))
