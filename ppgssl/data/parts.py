"""The work folder of a preparation: one part per recording, so that an interrupted run continues.

    OUT/.prepare/plan.json          settings and recordings; another plan is refused
    OUT/.prepare/00000012.arrow     windows of recording 12, absent where it has none
    OUT/.prepare/00000012.json      its report, written last: a part that has one is finished

Parts are made in worker processes. They need as much disk again as the dataset itself until the
shards are written, and are mapped, not decoded, when they are read back.
"""

import hashlib
import json
import shutil
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ppgssl.data.cutting import (
    PrepareSettings,
    choose_windows,
    cut_windows,
    fill_short_gaps,
)
from ppgssl.data.manifest import WORK_FOLDER, write_json
from ppgssl.data.recordings import Recording, RecordingRef
from ppgssl.data.schema import label_names
from ppgssl.data.writer import full_disk_is_a_run_error
from ppgssl.errors import DatasetError, RecordingError

PLAN_NAME = "plan.json"

LabelKind = Literal["number", "text"]


@dataclass(frozen=True, slots=True)
class PartReport:
    """What became of one recording.

    Attributes:
        recording_id: Of the recording.
        subject_id: Of its subject; empty where it could not be read.
        recorded_s: Its length.
        windows: Windows kept.
        padded: Windows among them of which a part was not recorded.
        rejected: Windows rejected, by reason.
        labels: What each label column holds.
        unreadable: Why it could not be read, or None.
    """

    recording_id: str
    subject_id: str = ""
    recorded_s: float = 0.0
    windows: int = 0
    padded: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict[str, int])
    labels: Mapping[str, LabelKind] = field(default_factory=dict[str, LabelKind])
    unreadable: str | None = None


def make_plan(refs: Sequence[RecordingRef], settings: PrepareSettings) -> dict[str, Any]:
    """All that decides the result: the settings, and which recordings in which order."""
    plan = {"settings": asdict(settings), "recordings": [_identity(ref) for ref in refs]}
    return json.loads(json.dumps(plan))  # as it will be read back: tuples become lists


def plan_sha256(plan: Mapping[str, Any]) -> str:
    """Equal for equal plans."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def describe_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The settings in which two preparations differ, for an error message."""
    changed = [
        f"{key} was {old.get(key)!r}, now {value!r}"
        for key, value in new.items()
        if old.get(key) != value
    ]
    return "; ".join(changed) or "the recordings are not the same"


class WorkFolder:
    """The parts of one preparation."""

    def __init__(self, out: Path) -> None:
        self.path = out / WORK_FOLDER

    def claim(self, plan: Mapping[str, Any]) -> None:
        """Create the folder, or continue in one that has the same plan.

        Raises:
            DatasetError: An unfinished preparation with other settings or recordings is there, or
                the folder cannot be written.
        """
        path = self.path / PLAN_NAME
        if path.exists():
            old = json.loads(path.read_text(encoding="utf-8"))
            if old != plan:
                difference = describe_difference(old["settings"], plan["settings"])
                raise DatasetError(
                    f"{self.path.parent} holds an unfinished preparation with other settings "
                    f"({difference}); finish it as it was begun, delete {self.path}, or choose "
                    "another folder"
                )
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(path, plan)
        except OSError as error:
            raise DatasetError(
                f"{self.path.parent} cannot be written ({error.strerror}); choose another folder"
            ) from error

    def rows_path(self, index: int) -> Path:
        """The windows of a recording."""
        return self.path / f"{index:08d}.arrow"

    def report(self, index: int) -> PartReport | None:
        """What became of a recording; None where it is not finished."""
        path = self._report_path(index)
        if not path.exists():
            return None
        report = PartReport(**json.loads(path.read_text(encoding="utf-8")))
        return report if not report.windows or self.rows_path(index).exists() else None

    def finish(self, index: int, report: PartReport) -> None:
        """Mark a recording as finished."""
        write_json(self._report_path(index), asdict(report))

    def remove(self) -> None:
        """Delete all parts and the plan."""
        shutil.rmtree(self.path)

    def _report_path(self, index: int) -> Path:
        return self.path / f"{index:08d}.json"


def _identity(ref: RecordingRef) -> list[str | float | None]:
    """Short, as there may be very many."""
    where = [ref.recording_id, str(ref.path), ref.record, ref.row, ref.size_bytes]
    return [*where, ref.options.channel, ref.options.fs_hz]


def make_part(
    work: WorkFolder, index: int, ref: RecordingRef, settings: PrepareSettings
) -> PartReport:
    """Turn one recording into a part. Runs in a worker process.

    Raises:
        RunError: The disk is full.
    """
    try:
        recording = ref.load()
    except RecordingError as error:
        report = PartReport(ref.recording_id, unreadable=" ".join(str(error).split()))
    else:
        with full_disk_is_a_run_error(work.path):
            report = _write_rows(work.rows_path(index), recording, settings)
    work.finish(index, report)
    return report


def read_rows(path: Path, first: int, count: int) -> Generator[pa.Table]:
    """Some rows of a part, a row group at a time, in memory that is the file's."""
    start = 0
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as part:
        for number in range(part.num_record_batches):
            batch = part.get_batch(number)
            begin, end = max(first - start, 0), min(first + count - start, len(batch))
            if begin < end:
                yield pa.Table.from_batches([batch.slice(begin, end - begin)])
            start += len(batch)


def _write_rows(path: Path, recording: Recording, settings: PrepareSettings) -> PartReport:
    filled = fill_short_gaps(recording, settings)
    choice = choose_windows(filled, recording.fs_hz, settings)
    labels: dict[str, LabelKind] = {}
    if choice.spans:
        tables = cut_windows(recording, filled, choice, settings)
        first = next(tables)
        labels = _label_kinds(first.schema)
        with pa.ipc.new_file(str(path), first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)
    return PartReport(
        recording_id=recording.recording_id,
        subject_id=recording.subject_id,
        recorded_s=len(recording.signal) / recording.fs_hz,
        windows=len(choice.spans),
        padded=choice.num_padded(settings),
        rejected=choice.rejected,
        labels=labels,
    )


def _label_kinds(schema: pa.Schema) -> dict[str, LabelKind]:
    return {
        name: "text" if schema.field(name).type == pa.string() else "number"
        for name in label_names(schema)
    }
