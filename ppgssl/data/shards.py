"""Parts to shards: where each window goes follows from the reports, so shards are made alone.

    reports ──► plan_shards ──► ShardPlan, ... ──► write_shard, each in any process

Windows are numbered in the order of the recordings, over all splits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ppgssl.data.parts import LabelKind, PartReport, WorkFolder, read_rows
from ppgssl.data.schema import SPLITS, Split
from ppgssl.data.writer import ShardWriter, make_layout, numbered


@dataclass(frozen=True, slots=True)
class Part:
    """The windows of a recording.

    Attributes:
        index: Of the recording.
        split: They all go into.
        windows: Their number, at least one.
    """

    index: int
    split: Split
    windows: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Windows of one part that follow each other.

    Attributes:
        index: Of the recording.
        first: Row in the part.
        count: Rows.
        first_window_id: Number of the first in the dataset.
    """

    index: int
    first: int
    count: int
    first_window_id: int


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What one file holds."""

    split: Split
    number: int
    pieces: tuple[Piece, ...]

    @property
    def num_windows(self) -> int:
        """In all pieces."""
        return sum(piece.count for piece in self.pieces)


def plan_shards(parts: Sequence[Part], windows_per_shard: int) -> list[ShardPlan]:
    """Fill shards with the parts in their order; the largest shards come first."""
    pieces: dict[tuple[Split, int], list[Piece]] = {}
    in_split = dict.fromkeys(SPLITS, 0)
    num_windows = 0
    for part in parts:
        done = 0
        while done < part.windows:
            number, in_shard = divmod(in_split[part.split], windows_per_shard)
            count = min(part.windows - done, windows_per_shard - in_shard)
            piece = Piece(part.index, done, count, num_windows)
            pieces.setdefault((part.split, number), []).append(piece)
            in_split[part.split] += count
            num_windows += count
            done += count
    plans = [ShardPlan(split, number, tuple(held)) for (split, number), held in pieces.items()]
    return sorted(plans, key=lambda plan: -plan.num_windows)


def write_shard(
    work: WorkFolder,
    out: Path,
    plan: ShardPlan,
    window_samples: int,
    labels: Mapping[str, pa.DataType],
) -> None:
    """Write one file of the dataset. Runs in a worker process; a row group is held in memory.

    (A pickled Arrow schema forgets that the values of lists cannot be null; hence it is made here.)

    Raises:
        RunError: The disk is full.
    """
    layout = make_layout(window_samples, labels)
    with ShardWriter(out, plan.split, plan.number, layout) as shard:
        for piece in plan.pieces:
            window_id = piece.first_window_id
            for rows in read_rows(work.rows_path(piece.index), piece.first, piece.count):
                shard.write(numbered(rows, window_id, plan.split, layout.schema))
                window_id += len(rows)


def label_types(reports: Iterable[PartReport]) -> dict[str, pa.DataType]:
    """The label columns of all parts; one that is a number here and text there becomes text."""
    kinds: dict[str, LabelKind] = {}
    for report in reports:
        for name, kind in report.labels.items():
            kinds[name] = kind if kinds.get(name, kind) == kind else "text"
    return {name: pa.string() if kind == "text" else pa.float64() for name, kind in kinds.items()}
