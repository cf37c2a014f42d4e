"""The finished parts of a bulk run, on the disk until they are joined.

    WORK/plan.json             units, encoder and granularity; parts of another plan are removed
    WORK/000000000120.parquet  rows of the units from the last part's end to before unit 120
    WORK/000000000120.json     its counts, written last: a part that has one is finished

Parts need as much disk as the result itself, and are gone once it is there.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.inference.encoder import PpgEncoder
from ppgssl.inference.granularity import Granularity

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
    def open(
        cls,
        folder: Path,
        schema: pa.Schema,
        units: Sequence[str],
        encoder: PpgEncoder,
        granularity: Granularity,
    ) -> Self:
        """The parts of this plan that an earlier run finished; those of another are removed."""
        digest = hashlib.sha256("\n".join(units).encode()).hexdigest()
        plan = {"units": digest, "encoder": encoder.info.sha256, "granularity": granularity.value}
        if _read(folder / PLAN) != plan:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _write(folder / PLAN, plan)
        parts = cls(folder, schema)
        for path in parts._reports():
            parts._count(int(path.stem), _read(path) or {})
        return parts

    @contextmanager
    def writing(self) -> Generator[Callable[[pa.Table], None]]:
        """Writes tables into the part that is added next."""
        with pq.ParquetWriter(self.folder / UNFINISHED, self.schema) as writer:
            yield writer.write_table

    def add(self, next_unit: int, windows: int, unreadable: dict[str, str]) -> None:
        """What was written is a part, up to before a unit."""
        name = self.folder / f"{next_unit:012d}"
        (self.folder / UNFINISHED).replace(name.with_suffix(".parquet"))
        report = {"windows": windows, "unreadable": unreadable}
        _write(name.with_suffix(".json"), report)
        self._count(next_unit, report)

    def join(self, out: Path) -> int:
        """Write all parts as one file, in its place as a whole or not at all, and remove them.

        Returns:
            How many windows were refused.
        """
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary, refused = out.with_name(f".{out.name}.partial"), 0
        try:
            with pq.ParquetWriter(temporary, self.schema) as writer:
                for report in self._reports():
                    with pq.ParquetFile(report.with_suffix(".parquet")) as part:
                        for batch in part.iter_batches():
                            refused += len(batch) - batch.column("fault").null_count
                            writer.write_batch(batch)
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        return refused

    def _reports(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))

    def _count(self, next_unit: int, report: dict[str, Any]) -> None:
        self.next_unit = next_unit
        self.windows += report["windows"]
        self.unreadable |= report["unreadable"]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content), "utf-8")
    temporary.replace(path)
