"""The finished parts of a bulk run, on the disk until they are joined.

    WORK/plan.json             units, encoder and granularity; parts of another plan are removed
    WORK/000000000120.parquet  rows of the units from the last part's end to before unit 120
    WORK/000000000120.json     its counts, written last: a part that has one is finished

Parts need as much disk as the result itself; whoever has put that in its place removes them. A
finished part never changes.
"""

import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.inference.embedding_file import embeddings_writer

PLAN = "plan.json"
UNFINISHED = ".unfinished.parquet"


@dataclass(slots=True)
class Parts:
    """What is finished, and where the next part begins.

    Attributes:
        folder: Where parts lie.
        schema: Of their rows.
        next_unit: Of the units, the first one that no part has.
        windows: In all parts.
        unreadable: Units that could not be read, by name.
    """

    folder: Path
    schema: pa.Schema
    next_unit: int = 0
    windows: int = 0
    unreadable: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def open(cls, folder: Path, schema: pa.Schema, plan: Mapping[str, str]) -> Self:
        """The parts of this plan that an earlier run finished; those of another are removed."""
        if _read(folder / PLAN) != plan:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _write(folder / PLAN, plan)
        parts = cls(folder, schema)
        for path in _reports(folder):
            parts._count(int(path.stem), _read(path) or {})
        return parts

    @contextmanager
    def writing(self) -> Generator[Callable[[pa.Table], None]]:
        """Writes tables into the part that is added next."""
        with embeddings_writer(self.folder / UNFINISHED, self.schema) as writer:
            yield writer.write_table

    def add(self, next_unit: int, windows: int, unreadable: dict[str, str]) -> None:
        """What was written is a part, up to before a unit."""
        name = self.folder / f"{next_unit:012d}"
        _sync(self.folder / UNFINISHED)
        (self.folder / UNFINISHED).replace(name.with_suffix(".parquet"))
        report = {"windows": windows, "unreadable": unreadable}
        _write(name.with_suffix(".json"), report)
        self._count(next_unit, report)

    def files(self) -> list[Path]:
        """The finished parts, in order."""
        return [report.with_suffix(".parquet") for report in _reports(self.folder)]

    def _count(self, next_unit: int, report: dict[str, Any]) -> None:
        self.next_unit = next_unit
        self.windows += report["windows"]
        self.unreadable |= report["unreadable"]


def join_parts(finished: Sequence[Parts], out: Path) -> tuple[int, int]:
    """Make all parts one file, in its place as a whole or not at all.

    Returns:
        How many rows there are, and how many of them are of refused windows.
    """
    files = [file for parts in finished for file in parts.files()]
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.partial")
    temporary.unlink(missing_ok=True)
    try:
        if len(files) != 1 or not _linked(files[0], temporary):
            _write_all(files, finished[0].schema, temporary)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return _count_rows(out)


def take_over(earlier: Iterable[Path], folder: Path) -> None:
    """Give a new run what another one finished: of these folders, the one that got furthest.

    Parts are linked, not moved: a run that was frozen and wakes finds its own as it left them, and
    nothing that it writes is read by the new one.

    Args:
        earlier: Folders of parts, or where such would be.
        folder: Of the new run; made where there is anything to take over.

    Raises:
        OSError: The disk refuses.
    """
    furthest = max(earlier, key=_end, default=None)
    if furthest is None or not _reports(furthest):
        return
    folder.mkdir()
    with suppress(FileNotFoundError):  # its run is still alive and removes them: take what is left
        os.link(furthest / PLAN, folder / PLAN)
        for report in _reports(furthest):
            for name in (report.with_suffix(".parquet").name, report.name):
                os.link(furthest / name, folder / name)


def _write_all(files: Iterable[Path], schema: pa.Schema, path: Path) -> None:
    with embeddings_writer(path, schema) as writer:
        for name in files:
            with pq.ParquetFile(name) as part:
                for batch in part.iter_batches():
                    writer.write_batch(batch)
    _sync(path)


def _linked(part: Path, path: Path) -> bool:
    """Give a finished part a second name; False where it cannot have one, as on another disk."""
    try:
        os.link(part, path)
    except OSError:
        return False
    return True


def _count_rows(path: Path) -> tuple[int, int]:
    """All rows of a file of embeddings, and those of refused windows."""
    fault = pq.read_table(path, columns=["fault"]).column("fault")
    return len(fault), len(fault) - fault.null_count


def _reports(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))


def _end(folder: Path) -> int:
    """The unit up to which a folder's parts go."""
    return max((int(report.stem) for report in _reports(folder)), default=0)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content), "utf-8")
    temporary.replace(path)


def _sync(path: Path) -> None:
    """See a file's content onto the disk, before a name says that it is whole."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
