"""`training.batch_size: auto`: how many windows of a step memory holds at a time.

A step is over as many windows as before. On CUDA a step is tried, largest micro-batch first; on a
CPU, where nothing fails before the system kills the process, the need is reckoned.
"""

import gc
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from ppgssl.config import Config
from ppgssl.errors import ConfigError, OutOfMemoryError
from ppgssl.host_memory import available_memory
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.models.encoder import standardise
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.activations import SHARE_OF_FREE_MEMORY, kept_bytes
from ppgssl.training.checkpoint import read_config
from ppgssl.training.devices import resolve_device, resolve_precision
from ppgssl.training.memory import is_out_of_memory
from ppgssl.training.step import train_step
from ppgssl.views import make_views

logger = logging.getLogger(__name__)

NEED_PER_KEPT_BYTE = 4.0  # of a process on a CPU: 2.4 as drawn, 3.8 by default (docs/log.md)

Fits = Callable[[Config], bool]


def with_found_micro_batch(config: Config, checkpoint: Path | None = None) -> Config:
    """The config with a number for `training.batch_size: auto`; any other config as it is.

    A run that goes on from a checkpoint keeps the micro-batch that was found for it.

    Raises:
        ConfigError: The checkpoint's config is missing or damaged.
        DeviceError: The device is not there.
        OutOfMemoryError: Not even one window at a time fits.
    """
    if config.training.batch_size != "auto":
        return config
    if checkpoint is not None:
        earlier = read_config(checkpoint).training
        if earlier.windows_per_step == config.training.windows_per_step:
            return with_micro_batch(config, earlier.micro_batch)
    device = resolve_device(config.device)
    found = largest_that_fits(config, fits_by_trial if device.type == "cuda" else fits_by_reckoning)
    logger.info(
        "training.batch_size: auto is %d x %d windows",
        found.training.accumulation_steps,
        found.training.micro_batch,
    )
    return found


def largest_that_fits(config: Config, fits: Fits) -> Config:
    """The largest micro-batch that divides the step and gives every process one of its own.

    Raises:
        OutOfMemoryError: None fits.
    """
    per_step = config.training.windows_per_step
    most = per_step // num_sharing(config)
    for size in range(most, 0, -1):
        if per_step % size == 0 and fits(candidate := with_micro_batch(config, size)):
            return candidate
    raise OutOfMemoryError(
        f"training.batch_size: memory does not hold the training of one window of "
        f"{config.data.window_samples} samples at a time; use shorter windows "
        "(data.window_seconds), a smaller model (model.max_filters) or a device with more memory"
    )


def num_sharing(config: Config) -> int:
    """Processes that the step's micro-batches are to be shared by."""
    if config.training.devices != "auto":
        return config.training.devices
    gpus = torch.cuda.device_count() if config.device in {"auto", "cuda"} else 0
    return max(1, min(gpus, config.training.windows_per_step))


def fits_by_reckoning(config: Config) -> bool:
    """Whether every process' step takes no more than its share of half of the free memory."""
    free = available_memory()
    need = NEED_PER_KEPT_BYTE * kept_bytes(config) * num_sharing(config)
    return free is None or need <= SHARE_OF_FREE_MEMORY * free


def fits_by_trial(config: Config) -> bool:
    """Whether the device holds a step on noise. Leaves random numbers as they were."""
    try:
        _try_step(config, resolve_device(config.device))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        fits = False
    else:
        fits = True
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return fits


def _try_step(config: Config, device: torch.device) -> None:
    """One micro-batch, forward, backward and update."""
    precision = resolve_precision(config.training.precision, device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        objective = PretrainingObjective(build_autoencoder(config), config).to(device).train()
        optimizer = torch.optim.AdamW(objective.parameters(), fused=True)
        scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
        shape = (config.training.micro_batch, 1, config.data.window_samples)
        windows = standardise(torch.randn(shape, device=device))
        views = make_views(
            windows,
            windows,
            config.augmentation,
            fs_hz=config.data.fs_hz,
            generator=torch.Generator(device).manual_seed(config.seed),
        )
        train_step(
            objective,
            views,
            optimizer,
            scaler,
            amp_dtype=precision,
            max_grad_norm=config.training.max_grad_norm,
        )
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def refuse_to_find(config: Config) -> None:
    """Where processes were started by somebody else, each would find a number of its own.

    Raises:
        ConfigError: The config asks for a number to be found.
    """
    if config.training.batch_size == "auto":
        raise ConfigError(
            "training.batch_size: 'auto' needs one process that decides for all; give a number "
            "where torchrun or Ray starts the processes"
        )


def with_micro_batch(config: Config, size: int) -> Config:
    """The config with micro-batches of so many windows and steps over as many as before."""
    accumulation_steps = config.training.windows_per_step // size
    micro_batch = {"batch_size": size, "accumulation_steps": accumulation_steps}
    training = config.training.model_copy(update=micro_batch)
    return config.model_copy(update={"training": training})
