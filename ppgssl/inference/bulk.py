"""Embed archives: a stream of windows in, a Parquet file of embeddings out.

Memory holds one part and one recording, however many recordings there are, and the next recording
is read while the encoder computes. What is done is kept in a folder of parts (`bulk_parts.py`), so
that a run that was interrupted continues where it was.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from ppgssl.errors import RecordingError
from ppgssl.inference.bulk_parts import Parts, join_parts
from ppgssl.inference.bulk_sources import RawWindow, Unit
from ppgssl.inference.embedding_file import embeddings_schema
from ppgssl.inference.encoder import PpgEncoder, Rows
from ppgssl.inference.granularity import Granularity
from ppgssl.models.encoder_file import EncoderInfo

Item = TypeVar("Item")
Made = TypeVar("Made")

PLACE = "place"  # of a row's window in its part; a column while the part is put in order

PART_SAMPLES = 20_000_000
"""Windows of so many samples are lost at most where a run is killed: about half a minute's work."""

ROW_SAMPLES = 512
"""An embedding takes as much memory as so many samples: bounds the parts of very short windows."""


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far a run is: units (recordings, or row groups of a dataset), windows, share of it all.

    Units are those whose windows were handed out; windows and fraction are of what is embedded.
    """

    units: int
    of_units: int
    windows: int
    fraction: float


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk run wrote, and the recordings that it could not read.

    `resumed` windows were embedded by an earlier run that was interrupted.
    """

    windows: int
    rows: int
    refused: int
    resumed: int
    unreadable: dict[str, str]


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
            granularity left there is taken over. Remove it once `out` is where it belongs.
        granularity: A row per window, or per segment of it.
        on_progress: Called at the start, after each batch and after each part.
        should_stop: Asked after each batch.

    Raises:
        RecordingError: No recording could be read.
        StoppedError: It was asked to stop.
    """
    parts = open_parts(units, encoder.info, work, granularity)
    resumed = parts.windows
    make_parts(parts, units, encoder, granularity, on_progress, should_stop)
    return join([parts], out, resumed)


def open_parts(
    units: Sequence[Unit], info: EncoderInfo, work: Path, granularity: Granularity
) -> Parts:
    """What an earlier run of the same units, encoder and granularity finished in a folder."""
    digest = hashlib.sha256("\n".join(unit.identity for unit in units).encode()).hexdigest()
    plan = {"units": digest, "encoder": info.sha256, "granularity": granularity.value}
    return Parts.open(work, embeddings_schema(info.embedding_dim, info.sha256), plan)


def make_parts(
    parts: Parts,
    units: Sequence[Unit],
    encoder: PpgEncoder,
    granularity: Granularity,
    on_progress: Callable[[BulkProgress], None],
    should_stop: Callable[[], bool],
) -> None:
    """Embed what is missing, a part after the other.

    Raises:
        StoppedError: It was asked to stop.
    """
    while parts.next_unit < len(units):
        part = _Part(units, parts.next_unit, parts.windows, on_progress)
        with parts.writing() as write:
            write(part.embed(encoder, granularity, parts.schema, should_stop))
        parts.add(part.next_unit, part.windows, part.unreadable)


def join(finished: Sequence[Parts], out: Path, resumed: int) -> BulkResult:
    """Make one file of all parts.

    Raises:
        RecordingError: No recording could be read.
    """
    windows = sum(parts.windows for parts in finished)
    unreadable = {name: why for parts in finished for name, why in parts.unreadable.items()}
    if not windows and unreadable:
        recording_id, reason = next(iter(unreadable.items()))
        raise RecordingError(f"no recording could be read; {recording_id}: {reason}")
    rows, refused = join_parts(finished, out)
    return BulkResult(windows, rows, refused, resumed, unreadable)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A window, its place in the part, and what it is of the sizes of all units."""

    window: RawWindow
    place: int
    size: float


class _Part:
    """Whole units from one on, embedded together until they are large enough.

    Windows of one length are embedded in full batches wherever in the part they stand: recordings
    are shorter than a batch and end in a window of a length of their own. Their rows are put in
    order at the end.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        first_unit: int,
        windows_before: int,
        on_progress: Callable[[BulkProgress], None],
    ) -> None:
        self._units = units
        self._windows_before = windows_before
        self._on_progress = on_progress
        self._size = sum(unit.size for unit in units)
        self._done = float(sum(unit.size for unit in units[:first_unit]))
        self.next_unit = first_unit
        """First one whose windows have not been handed out."""
        self.windows = 0
        """That have been embedded, or refused."""
        self.unreadable: dict[str, str] = {}

    def embed(
        self,
        encoder: PpgEncoder,
        granularity: Granularity,
        schema: pa.Schema,
        should_stop: Callable[[], bool],
    ) -> pa.Table:
        """The rows of all windows, in order.

        Raises:
            StoppedError: It was asked to stop.
        """
        with_place = schema.append(pa.field(PLACE, pa.int64()))
        tables = [with_place.empty_table()]
        self._tell()
        batches = (_check(batch, encoder) for batch in _batches(self._placed(), encoder))
        for batch, rows in _one_ahead(batches, lambda b: b.embed(encoder, granularity)):
            tables += batch.tables(rows, with_place)
            self.windows += batch.num_windows
            self._done += batch.size
            self._tell()
            if should_stop():
                raise StoppedError
        self._tell()
        return _in_order(pa.concat_tables(tables))

    def _tell(self) -> None:
        windows = self._windows_before + self.windows
        fraction = min(1.0, self._done / self._size) if self._size else 0.0
        self._on_progress(BulkProgress(self.next_unit, len(self._units), windows, fraction))

    def _placed(self) -> Iterator[_Placed]:
        places, samples = count(), 0
        with ThreadPoolExecutor(1, thread_name_prefix="reading") as reader:
            loading = self._load(reader, self.next_unit)
            while loading is not None and samples < PART_SAMPLES:
                unit, following = (
                    self._units[self.next_unit],
                    self._load(reader, self.next_unit + 1),
                )
                try:
                    windows = loading.result()
                except RecordingError as error:
                    self.unreadable[unit.name] = str(error)
                    windows = ()
                    self._done += unit.size
                for window in windows:
                    samples += len(window.samples) + ROW_SAMPLES
                    yield _Placed(window, next(places), unit.size / len(windows))
                self.next_unit += 1
                loading = following

    def _load(self, reader: ThreadPoolExecutor, place: int) -> "Future[Sequence[RawWindow]] | None":
        return reader.submit(self._units[place].load) if place < len(self._units) else None


def _in_order(table: pa.Table) -> pa.Table:
    """Rows by their windows' places, without them; those of one window stay as they are."""
    places = table[PLACE].to_numpy()
    if (places[1:] < places[:-1]).any():
        table = table.take(np.argsort(places, kind="stable"))
    return table.drop_columns(PLACE)


def _batches(windows: Iterable[_Placed], encoder: PpgEncoder) -> Iterator[list[_Placed]]:
    """Windows of one length and rate, as many as a forward pass holds; what is left comes last."""
    waiting: dict[tuple[int, float], list[_Placed]] = {}
    for placed in windows:
        alike = (len(placed.window.samples), placed.window.fs_hz)
        batch = waiting.setdefault(alike, [])
        batch.append(placed)
        if len(batch) == encoder.windows_at_once(*alike):
            yield waiting.pop(alike)
    yield from waiting.values()


@dataclass(frozen=True, slots=True)
class _Checked:
    """A batch of windows of one length and rate: those that are sound, and those refused."""

    sound: Sequence[_Placed]
    refused: Sequence[tuple[_Placed, str]]

    @property
    def num_windows(self) -> int:
        """Refused ones counted."""
        return len(self.sound) + len(self.refused)

    @property
    def size(self) -> float:
        """Of all its windows."""
        return sum(placed.size for placed in self.sound) + sum(p.size for p, _ in self.refused)

    def embed(self, encoder: PpgEncoder, granularity: Granularity) -> "_Computed | None":
        """What the encoder makes of the sound windows, where there are any."""
        if not self.sound:
            return None
        samples = np.stack([placed.window.samples for placed in self.sound])
        fs_hz = self.sound[0].window.fs_hz
        rows = encoder.embed_sound(samples, fs_hz, granularity)
        return _Computed(rows, encoder.row_starts_s(samples.shape[-1], fs_hz, granularity))

    def tables(self, computed: "_Computed | None", schema: pa.Schema) -> Iterator[pa.Table]:
        """The rows with their windows' places."""
        refused = [
            {
                "recording_id": placed.window.recording_id,
                "start_s": placed.window.start_s,
                "fault": fault,
                PLACE: placed.place,
            }
            for placed, fault in self.refused
        ]
        yield pa.Table.from_pylist(refused, schema=schema)
        if computed is not None:
            yield computed.table(self.sound, schema)


@dataclass(frozen=True, slots=True)
class _Computed:
    """Rows of sound windows, and where in a window they begin, seconds."""

    rows: Rows
    starts_s: Float[np.ndarray, " R"]

    def table(self, windows: Sequence[_Placed], schema: pa.Schema) -> pa.Table:
        """A line for each row of each window."""
        per_window = len(self.starts_s)
        ids = np.repeat([placed.window.recording_id for placed in windows], per_window)
        windows_s = np.array([placed.window.start_s for placed in windows])[:, None]
        embedding, quality = self.rows.embedding, self.rows.quality
        columns = [
            pa.array(ids.tolist()),
            pa.array((windows_s + self.starts_s).reshape(-1)),
            pa.FixedSizeListArray.from_arrays(pa.array(embedding.reshape(-1)), embedding.shape[-1]),
            pa.array(quality.reshape(-1)),
            pa.nulls(quality.size, pa.string()),
            pa.array(np.repeat([placed.place for placed in windows], per_window)),
        ]
        return pa.Table.from_arrays(columns, schema=schema)


def _check(batch: Sequence[_Placed], encoder: PpgEncoder) -> _Checked:
    faults = [encoder.find_fault(placed.window.samples, placed.window.fs_hz) for placed in batch]
    checked = list(zip(batch, faults, strict=True))
    return _Checked(
        [placed for placed, fault in checked if fault is None],
        [(placed, fault) for placed, fault in checked if fault is not None],
    )


def _one_ahead(items: Iterable[Item], work: Callable[[Item], Made]) -> Iterator[tuple[Item, Made]]:
    """Each item and what `work` makes of it, while the next one is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="embedding") as worker:
        waiting: deque[tuple[Item, Future[Made]]] = deque()
        for item in items:
            waiting.append((item, worker.submit(work, item)))
            if len(waiting) > 1:
                done, made = waiting.popleft()
                yield done, made.result()
        for done, made in waiting:
            yield done, made.result()
