"""Embed recordings by the file: a stream of windows in, a Parquet file of embeddings out.

Memory holds one recording and one batch, however many recordings there are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from ppgssl.data.recordings import Recording, RecordingRef
from ppgssl.errors import RecordingError
from ppgssl.inference.encoder import PpgEncoder
from ppgssl.inference.granularity import Granularity
from ppgssl.signal.quality import fill_gaps


@dataclass(frozen=True, slots=True)
class RawWindow:
    """A window on its way to the encoder, at its recording's own rate."""

    recording_id: str
    start_s: float
    fs_hz: float
    samples: Float[np.ndarray, " T"]


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk run wrote, and the recordings that it could not read."""

    windows: int
    refused: int
    unreadable: dict[str, str]


def embed_recordings(
    refs: Iterable[RecordingRef],
    encoder: PpgEncoder,
    out: Path,
    *,
    on_recording: Callable[[str], None],
    granularity: Granularity = Granularity.WINDOW,
) -> BulkResult:
    """Embed every window of every recording, in order.

    A recording is cut into windows of the encoder's length, the last one kept where it is shorter;
    a row of a two-dimensional array is a window as it stands. A window that cannot be embedded
    keeps its row, with a null embedding and the reason in the column `fault`.

    Args:
        refs: The recordings.
        encoder: Embeds them.
        out: Parquet file with recording_id, start_s, embedding, quality, fault.
        on_recording: Called with each recording's id once it has been read.
        granularity: A row per window, or per segment of it.

    Raises:
        RecordingError: No recording could be read.
    """
    schema = _schema(encoder.info.embedding_dim)
    unreadable: dict[str, str] = {}
    temporary = out.with_name(f".{out.name}.partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    windows = refused = 0
    try:
        with pq.ParquetWriter(temporary, schema) as writer:
            stream = _windows(refs, encoder, unreadable, on_recording)
            for batch in _batches(stream, encoder):
                table = _embed(batch, encoder, granularity, schema)
                writer.write_table(table)
                windows += len(batch)
                refused += table["embedding"].null_count
        if not windows and unreadable:
            recording_id, reason = next(iter(unreadable.items()))
            raise RecordingError(f"no recording could be read; {recording_id}: {reason}")
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return BulkResult(windows, refused, unreadable)


def cut(recording: Recording, window_s: float) -> Iterator[RawWindow]:
    """Windows of a recording side by side; what is left at its end is a shorter one."""
    samples = fill_gaps(recording.signal, recording.fs_hz)
    per_window = round(window_s * recording.fs_hz)
    for start in range(0, len(samples), per_window):
        yield RawWindow(
            recording.recording_id,
            start / recording.fs_hz,
            recording.fs_hz,
            samples[start : start + per_window],
        )


def _windows(
    refs: Iterable[RecordingRef],
    encoder: PpgEncoder,
    unreadable: dict[str, str],
    on_recording: Callable[[str], None],
) -> Iterator[RawWindow]:
    window_s = encoder.info.window_samples / encoder.info.fs_hz
    for ref in refs:
        try:
            recording = ref.load()
        except RecordingError as error:
            unreadable[ref.recording_id] = str(error)
            continue
        if ref.is_window:
            yield RawWindow(recording.recording_id, 0.0, recording.fs_hz, recording.signal)
        else:
            yield from cut(recording, window_s)
        on_recording(ref.recording_id)


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
) -> Iterator[list[tuple[np.ndarray, float]]]:
    """Of each window, its rows' embeddings and qualities."""
    if not windows:
        return
    stacked = np.stack([window.samples for window in windows])
    rows = encoder.embed_sound(stacked, windows[0].fs_hz, granularity)
    for vectors, qualities in zip(rows.embedding, rows.quality, strict=True):
        yield list(zip(vectors, qualities.tolist(), strict=True))


def _schema(embedding_dim: int) -> pa.Schema:
    return pa.schema(
        [
            pa.field("recording_id", pa.string()),
            pa.field("start_s", pa.float64()),
            pa.field("embedding", pa.list_(pa.float32(), embedding_dim)),
            pa.field("quality", pa.float32()),
            pa.field("fault", pa.string()),
        ]
    )
