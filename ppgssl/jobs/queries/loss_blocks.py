"""A loss history in blocks of steps, so that a long curve is drawn without reading all of it.

Of every block the table keeps how many points it has and where its total is smallest and largest:
a million points are two thousand blocks. Points are added in the transaction that writes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ppgssl.jobs.records import LossPoint
from ppgssl.jobs.tables import Loss, LossBlock
from ppgssl.jobs.thinning import share_points, thin

STEPS_PER_BLOCK = 512
NUMBER_LIMIT = 2**31 - 1  # of the columns that hold it, on PostgreSQL

Place = tuple[int, float | None]
"""Step and total of a point."""


@dataclass(frozen=True, slots=True)
class LossRange:
    """Part of a job's loss history: after a step, and of one split where there is a split."""

    job_seq: int
    after_step: int
    split: str | None

    @property
    def first_whole_block(self) -> int:
        """The first block that lies in the range from its first step on."""
        return -(-(self.after_step + 1) // STEPS_PER_BLOCK)

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """What a point of the range fulfils."""
        of_split = [] if self.split is None else [Loss.split == self.split]
        return [Loss.job_seq == self.job_seq, Loss.step > self.after_step, *of_split]


def add_to_blocks(session: Session, job_seq: int, points: Sequence[LossPoint]) -> None:
    """Count new points in their blocks; the caller's transaction holds the job's row."""

    def place(point: LossPoint) -> tuple[str, int]:
        return point.split, point.step // STEPS_PER_BLOCK

    for (split, number), some in groupby(sorted(points, key=place), key=place):
        block = session.get(LossBlock, (job_seq, split, number))
        if block is None:
            block = LossBlock(job_seq=job_seq, split=split, block=number, points=0)
            block.first_step, block.last_step = NUMBER_LIMIT, -1
            session.add(block)
        for point in some:
            _count(block, point.step, point.values.get("total"))


def _count(block: LossBlock, step: int, total: float | None) -> None:
    block.points += 1
    block.first_step = min(block.first_step, step)
    block.last_step = max(block.last_step, step)
    if total is None:
        return
    if block.lowest is None or total < block.lowest:
        block.lowest, block.lowest_step = total, step
    if block.highest is None or total > block.highest:
        block.highest, block.highest_step = total, step


def thinned_steps(session: Session, wanted: LossRange, max_points: int) -> dict[str, list[int]]:
    """Steps to keep of each split, so that there are at most so many points in all.

    Ends and extremes stay. Curves of which more is wanted than their blocks know are read whole.
    """
    begin = _points(session, wanted, before=wanted.first_whole_block * STEPS_PER_BLOCK)
    blocks = _blocks(session, wanted)
    splits = sorted(begin.keys() | blocks.keys())
    counts = {
        split: len(begin.get(split, [])) + sum(block.points for block in blocks.get(split, []))
        for split in splits
    }
    shares = share_points(counts, max_points)
    kept: dict[str, list[int]] = {}
    for split in splits:
        curve = [*begin.get(split, []), *_outline(blocks.get(split, []))]
        if shares[split] > len(curve):
            one = LossRange(wanted.job_seq, wanted.after_step, split)
            curve = _points(session, one)[split]
        indices = thin([total for _, total in curve], shares[split]) if shares[split] else []
        kept[split] = [curve[i][0] for i in indices]
    return kept


def _points(
    session: Session, wanted: LossRange, *, before: int = NUMBER_LIMIT
) -> dict[str, list[Place]]:
    query = (
        select(Loss.split, Loss.step, Loss.total)
        .where(*wanted.conditions, Loss.step < min(before, NUMBER_LIMIT))
        .order_by(Loss.step)
    )
    curves: dict[str, list[Place]] = {}
    for split, step, total in session.execute(query):
        curves.setdefault(split, []).append((step, total))
    return curves


def _blocks(session: Session, wanted: LossRange) -> dict[str, list[LossBlock]]:
    query = (
        select(LossBlock)
        .where(LossBlock.job_seq == wanted.job_seq, LossBlock.block >= wanted.first_whole_block)
        .order_by(LossBlock.split, LossBlock.block)
    )
    if wanted.split is not None:
        query = query.where(LossBlock.split == wanted.split)
    found = session.scalars(query).all()
    return {split: list(some) for split, some in groupby(found, key=lambda block: block.split)}


def _outline(blocks: Sequence[LossBlock]) -> list[Place]:
    """The curve's ends and each block's extremes, by step."""
    places: dict[int, float | None] = {}
    for block in (*blocks[:1], *blocks[-1:]):
        places |= {block.first_step: None, block.last_step: None}
    for block in blocks:
        places.update(_extremes(block))
    return sorted(places.items())


def _extremes(block: LossBlock) -> Iterator[Place]:
    if block.lowest_step is not None:
        yield block.lowest_step, block.lowest
    if block.highest_step is not None:
        yield block.highest_step, block.highest
