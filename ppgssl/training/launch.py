"""A run on as many processes of this host as its config asks for.

The process that asks trains by itself where one is enough. Otherwise it starts the processes,
passes on what the first one tells, and starts all of them again from the last checkpoint where one
dies. Under torchrun, which does that itself, each process joins the others.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ppgssl.config import Config
from ppgssl.data.dataset import Dataset
from ppgssl.errors import ConfigError, DeviceError, ProcessLostError
from ppgssl.training.crew import Crew
from ppgssl.training.micro_batch_size import with_found_micro_batch
from ppgssl.training.processes import joined_processes
from ppgssl.training.progress import Best, Reporter, Silent
from ppgssl.training.rank import TrainingOrder
from ppgssl.training.telling import rebuild_error
from ppgssl.training.trainer import TrainingResult, check_fit, never, train

logger = logging.getLogger(__name__)

MOST_RESTARTS = 3


def train_on_devices(
    config: Config,
    dataset: Dataset,
    out: Path,
    *,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = never,
    resume: bool = False,
    resume_from: Path | None = None,
    keep_replaced: bool = False,
) -> TrainingResult:
    """Train as `train` does, on `training.devices` processes of this host.

    Losses are those of one process, to rounding. The arguments are those of `train`.

    Raises:
        ConfigError: More processes than micro-batches in a step.
        DeviceError: More processes than CUDA devices.
        ProcessLostError: Processes died again and again; `last` stands.
        PpgsslError: What `train` raises.
    """
    if dist.is_torchelastic_launched():
        with joined_processes(config.device) as processes:
            return train(
                config,
                dataset,
                out,
                reporter=reporter,
                should_stop=should_stop,
                resume=resume or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0,
                resume_from=resume_from,
                keep_replaced=keep_replaced,
                processes=processes,
            )
    start = out / "last" if (out / "last").exists() else resume_from
    config = with_found_micro_batch(config, start)
    count = num_processes(config)
    if count == 1:
        return train(
            config,
            dataset,
            out,
            reporter=reporter,
            should_stop=should_stop,
            resume=resume,
            resume_from=resume_from,
            keep_replaced=keep_replaced,
        )
    check_fit(config, dataset)
    order = TrainingOrder(
        config=config.model_dump(mode="json"),
        dataset=str(dataset.path.resolve()),
        out=str(out.resolve()),
        resume=resume,
        resume_from=None if resume_from is None else str(resume_from.resolve()),
        keep_replaced=keep_replaced,
        log_level=logging.getLogger().getEffectiveLevel(),
        parent_pid=os.getpid(),
    )
    return _insist(order, count, reporter or Silent(), should_stop)


def num_processes(config: Config, cuda_devices: int | None = None) -> int:
    """How many processes train together.

    Args:
        config: The run's.
        cuda_devices: That there are; None for those of this host.

    Raises:
        ConfigError: More than a step has micro-batches, or several on one CUDA device.
        DeviceError: More than there are CUDA devices.
    """
    training, device = config.training, config.device
    there = torch.cuda.device_count() if cuda_devices is None else cuda_devices
    gpus = there if device in {"auto", "cuda"} else 0
    if training.devices == "auto":
        count = max(1, min(gpus, training.accumulation_steps))
        if count < gpus:
            logger.warning(
                "%d of %d CUDA devices are used: a step has %d micro-batches, and each is computed "
                "by one process; raise training.accumulation_steps, and lower training.batch_size "
                "to average over as many windows as before",
                count,
                gpus,
                training.accumulation_steps,
            )
        return count
    count = training.devices
    if count > 1 and device.startswith("cuda:"):
        raise ConfigError(f"device: {device!r} is one device; use 'cuda' for training.devices > 1")
    if count > training.accumulation_steps:
        raise ConfigError(
            f"training.devices: {count} processes share the {training.accumulation_steps} "
            "micro-batches of a step; use at most as many, or raise training.accumulation_steps "
            "and lower training.batch_size"
        )
    if (gpus or device == "cuda") and count > gpus:
        raise DeviceError(
            f"training.devices: {count} CUDA devices were asked for, but {gpus} are available; use "
            "'auto', or device=cpu"
        )
    return count


def _insist(
    order: TrainingOrder, count: int, reporter: Reporter, should_stop: Callable[[], bool]
) -> TrainingResult:
    """Start the processes again from the last checkpoint until they come to an end."""
    restarts = 0
    while True:
        with Crew(order, count) as crew:
            end = crew.follow(reporter, should_stop)
        if end.result is not None:
            return read_result(end.result)
        if end.error is not None and end.error["code"] != ProcessLostError.code:
            raise rebuild_error(**end.error)
        if should_stop() or restarts == MOST_RESTARTS:
            raise ProcessLostError(f"{end.loss}; resume the run from its last checkpoint")
        restarts += 1
        warning = f"{end.loss}: all of them go on from the last checkpoint"
        logger.warning("%s", warning)
        reporter.warning(warning)
        order = order.to_go_on()


def read_result(told: dict[str, Any]) -> TrainingResult:
    """What the first process told of its end."""
    best = None if told["best"] is None else Best(**told["best"])
    return TrainingResult(told["stop_reason"], told["epoch"], told["step"], best)
