"""An epoch's micro-batches, a step's at a time: which of them this process computes, and reads."""

from collections.abc import Iterator
from dataclasses import dataclass

from ppgssl.config import Config
from ppgssl.data.batch import WindowBatch
from ppgssl.data.windows import Windows
from ppgssl.training.device_cache import DeviceBatch, DeviceCache
from ppgssl.training.processes import Processes

Batch = WindowBatch | DeviceBatch


@dataclass(frozen=True, slots=True)
class StepBatches:
    """The micro-batches of one step.

    Attributes:
        num_windows: Of the step, over all processes.
        count: Micro-batches of the step, over all processes.
        own: Those that this process computes, each with its number in the epoch.
    """

    num_windows: int
    count: int
    own: list[tuple[int, Batch]]


def read_steps(
    windows: Windows | DeviceCache,
    config: Config,
    *,
    epoch: int,
    start_batch: int,
    processes: Processes,
) -> Iterator[StepBatches]:
    """The rest of an epoch, `accumulation_steps` micro-batches a step.

    Where the processes divide `accumulation_steps`, each reads what it computes and nothing else;
    otherwise each reads the whole epoch. Either way their shares of a step are consecutive, in the
    order of their ranks, which the joining of running statistics relies on.

    Args:
        windows: Of the training split, where they are read or held.
        config: Says sizes, seed and how to read.
        epoch: Finished ones.
        start_batch: Micro-batches of this epoch that are done: those of whole steps.
        processes: Who takes part.
    """
    size, per_step = config.training.micro_batch, config.training.accumulation_steps
    is_sharded = per_step % processes.count == 0
    per_piece = per_step // processes.count if is_sharded else per_step
    pieces = windows.batches(
        size * per_piece,
        seed=config.seed,
        epoch=epoch,
        start_batch=start_batch // per_piece + (processes.rank if is_sharded else 0),
        every=processes.count if is_sharded else 1,
        buffer_mb=config.data.shuffle_buffer_mb,
        read_ahead=config.data.num_workers,
    )
    in_epoch = range(-(-len(windows) // size))
    for start in range(start_batch, len(in_epoch), per_step):
        step = in_epoch[start : start + per_step]
        read = step[processes.rank * per_piece :][:per_piece] if is_sharded else step
        numbered = list(zip(read, _cut(pieces, size), strict=True)) if read else []
        own = numbered if is_sharded else list(processes.share(numbered))
        yield StepBatches(min(len(windows) - start * size, len(step) * size), len(step), own)


def _cut(pieces: Iterator[Batch], size: int) -> Iterator[Batch]:
    """The micro-batches of the next piece."""
    piece = next(pieces)
    return (piece.view(start, start + size) for start in range(0, len(piece), size))
