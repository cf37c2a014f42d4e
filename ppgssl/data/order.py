"""Which window comes when: the order of an epoch, as a pure function of its arguments.

Row groups are shuffled, then packed into blocks that fit the buffer, then windows are shuffled
within each block. The order depends on the seed, the epoch and the layout of the dataset alone, so
it is the same however the windows are read, and the tail of an epoch can be planned without reading
what comes before. No window is read here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Block:
    """Row groups that are in memory together, and the order in which their windows leave.

    Attributes:
        groups: Row groups, in the order in which they lie in memory.
        slots: Positions of windows within the block, first to leave first.
    """

    groups: tuple[int, ...]
    slots: npt.NDArray[np.int64]


def plan_epoch(
    rows_per_group: Sequence[int], *, windows_per_block: int, seed: int | None, epoch: int
) -> list[Block]:
    """Plan one pass over all windows, each exactly once.

    Args:
        rows_per_group: Windows in each row group, in stored order; none above `windows_per_block`.
        windows_per_block: Most windows in one block.
        seed: None keeps the stored order.
        epoch: Another epoch gives another order.
    """
    num_groups = len(rows_per_group)
    order = range(num_groups)
    if seed is not None:
        order = np.random.default_rng([seed, epoch]).permutation(num_groups).tolist()
    packed = _pack(order, rows_per_group, windows_per_block)
    sizes = [sum(rows_per_group[group] for group in groups) for groups in packed]
    return [
        Block(tuple(groups), _slots(size, index, seed, epoch))
        for index, (groups, size) in enumerate(zip(packed, sizes, strict=True))
    ]


def skip_windows(blocks: Sequence[Block], count: int) -> list[Block]:
    """What is left of a plan after its first `count` windows."""
    left: list[Block] = []
    for block in blocks:
        skipped = min(count, len(block.slots))
        count -= skipped
        if skipped < len(block.slots):
            left.append(Block(block.groups, block.slots[skipped:]))
    return left


def stored_rows(blocks: Sequence[Block], rows_per_group: Sequence[int]) -> npt.NDArray[np.int64]:
    """The plan as row numbers of the split, counted in stored order."""
    first = np.concatenate([[0], np.cumsum(rows_per_group)]).astype(np.int64)
    rows = [
        np.concatenate([np.arange(first[group], first[group + 1]) for group in block.groups])
        for block in blocks
    ]
    ordered = [held[block.slots] for held, block in zip(rows, blocks, strict=True)]
    return np.concatenate([*ordered, np.empty(0, np.int64)]).astype(np.int64)


def _pack(
    order: Sequence[int], rows_per_group: Sequence[int], windows_per_block: int
) -> list[list[int]]:
    packed: list[list[int]] = []
    room = 0
    for group in order:
        if rows_per_group[group] > room or not packed:
            packed.append([])
            room = windows_per_block
        packed[-1].append(group)
        room -= rows_per_group[group]
    return packed


def _slots(size: int, index: int, seed: int | None, epoch: int) -> npt.NDArray[np.int64]:
    """Each block has a generator of its own: planning the tail draws nothing for the head."""
    if seed is None:
        return np.arange(size, dtype=np.int64)
    return np.random.default_rng([seed, epoch, index]).permutation(size).astype(np.int64)
