"""Training in the memory there is: smaller micro-batches, more of them, the same effective batch.

A step averages over as many windows as before, and the windows come in the same order. Batch norm
and what compares the windows of a micro-batch see fewer of them at once, so losses are not the same
to the last bit.
"""

import gc
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from ppgssl.config import Config
from ppgssl.data.dataset import Dataset
from ppgssl.errors import OutOfMemoryError
from ppgssl.training.checkpoint import read_config
from ppgssl.training.launch import train_on_devices
from ppgssl.training.memory import is_out_of_memory
from ppgssl.training.micro_batch_size import with_found_micro_batch, with_micro_batch
from ppgssl.training.progress import Reporter
from ppgssl.training.trainer import TrainingResult

logger = logging.getLogger(__name__)


def train_within_memory(
    config: Config,
    dataset: Dataset,
    out: Path,
    *,
    reporter: Reporter,
    should_stop: Callable[[], bool],
    resume_from: Path | None = None,
    keep_replaced: bool = False,
) -> TrainingResult:
    """Train on the devices; where memory runs out, go on from `last` with half the micro-batch.

    A checkpoint whose run was given smaller micro-batches already is continued with those. Each
    time they are made smaller the reporter is warned.

    Raises:
        OutOfMemoryError: Not even one window at a time fits.
        PpgsslError: What `train_on_devices` raises.
    """
    while True:
        start = out / "last" if (out / "last").exists() else resume_from
        config = as_small_as(with_found_micro_batch(config, start), start)

        def run(config: Config = config) -> TrainingResult:
            return train_on_devices(
                config,
                dataset,
                out,
                reporter=reporter,
                should_stop=should_stop,
                resume=True,
                resume_from=resume_from,
                keep_replaced=keep_replaced,
            )

        result = result_or_shortage(run)
        if isinstance(result, TrainingResult):
            return result
        release_memory()
        smaller = with_smaller_micro_batch(config, result)
        warning = describe_change(config, smaller)
        logger.warning("%s: %s", warning, result)
        reporter.warning(warning)
        config = smaller


def result_or_shortage(run: Callable[[], TrainingResult]) -> TrainingResult | str:
    """The run's result, or how the want of memory was put.

    The error does not leave this function: it would keep the tensors alive that it met.
    """
    try:
        return run()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return str(error)


def release_memory() -> None:
    """Give back what a run held that has ended."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def as_small_as(config: Config, checkpoint: Path | None) -> Config:
    """The config, with the checkpoint's micro-batch where that is smaller and a step the same.

    Raises:
        ConfigError: The checkpoint's config is missing or damaged.
    """
    if checkpoint is None:
        return config
    earlier = read_config(checkpoint)
    if earlier.training.windows_per_step != config.training.windows_per_step:
        return config
    return with_micro_batch(config, min(config.training.micro_batch, earlier.training.micro_batch))


def with_smaller_micro_batch(config: Config, shortage: str) -> Config:
    """Half the micro-batch, twice the accumulation; a third and thrice where half is no number.

    Raises:
        OutOfMemoryError: A micro-batch is one window already.
    """
    size = config.training.micro_batch
    if size == 1:
        raise OutOfMemoryError(
            f"memory does not hold the training of even one window at a time ({shortage}): use "
            "shorter windows (data.window_seconds), a smaller model (model.max_filters) or a "
            "device with more memory"
        )
    smallest_factor = next(factor for factor in range(2, size + 1) if size % factor == 0)
    return with_micro_batch(config, size // smallest_factor)


def describe_change(before: Config, after: Config) -> str:
    """What the job is told of smaller micro-batches."""
    old, new = before.training, after.training
    return (
        f"memory ran out with micro-batches of {old.micro_batch} windows: the run goes on from its "
        f"last checkpoint with {new.accumulation_steps} of {new.micro_batch}, so that a step is "
        f"still over {new.windows_per_step} windows"
    )
