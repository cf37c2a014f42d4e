"""Before a long run: can this model, with this loss, learn even one batch by heart?

A model that cannot overfit a handful of windows within a minute will not learn from millions in a
day. The check trains a model of its own: the run's weights and random numbers stay as they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ppgssl.config import Config
from ppgssl.data.batch import WindowBatch
from ppgssl.data.windows import Windows
from ppgssl.losses import explained_variance
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.collapse import carries_position, remedy
from ppgssl.training.step import train_step
from ppgssl.training.validation import to_device
from ppgssl.views import Views

SIGNAL_SECONDS = 80.0  # in the batch, so that its cost does not depend on the window's length
MOST_WINDOWS = 8
CROP_SECONDS = 20.0  # of a longer window: two segments show what a hundred would
MOST_STEPS = 200
STEPS_PER_LOOK = 10
LEARNING_RATE = 1e-3
MAX_GRAD_NORM = 1.0
LEAST_EXPLAINED = 0.8  # the default reaches 0.9 in 20 to 50 steps, the model as drawn 0.04 in 300


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What the check found.

    Attributes:
        explained_variance: Of the windows it trained on, at the last look; 0 predicts their mean.
        steps: Steps that were taken.
        passed: Whether the explained variance is out of reach of predicting the mean.
        message: One sentence; that of a failure has cause and remedy.
    """

    explained_variance: float
    steps: int
    passed: bool
    message: str


def self_check(
    config: Config, windows: Windows, *, device: torch.device, should_stop: Callable[[], bool]
) -> SelfCheck | None:
    """Overfit a few real training windows, without augmentation, until they are explained.

    Windows longer than 20 s are cropped, and the model is built for the shorter length. It takes at
    most 200 steps: half a minute on one CPU core at the reference width.

    Args:
        config: Model, loss and seed of the run; it must weigh the reconstruction.
        windows: The training split.
        device: Where to compute.
        should_stop: Asked every ten steps.

    Returns:
        The finding; None where `should_stop` came first.
    """
    cropped = crop(config)
    batch = pick_windows(cropped, windows)
    views = Views.plain(*to_device(batch, device))
    steps, explained = 0, 0.0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        objective = PretrainingObjective(build_autoencoder(cropped), cropped).to(device)
        for explained in overfit(objective, views):
            steps += STEPS_PER_LOOK
            if explained >= LEAST_EXPLAINED or steps >= MOST_STEPS:
                break
            if should_stop():
                return None
    return _finding(config, explained, steps, len(batch))


def overfit(objective: PretrainingObjective, views: Views) -> Iterator[float]:
    """Train on one batch for ever; give the explained variance of every tenth step."""
    optimizer = torch.optim.AdamW(
        objective.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
    )
    scaler = torch.amp.GradScaler(views.inputs.device.type, enabled=False)
    objective.train()
    while True:
        for _ in range(STEPS_PER_LOOK):
            train_step(
                objective,
                [views],
                optimizer,
                scaler,
                amp_dtype=torch.float32,
                max_grad_norm=MAX_GRAD_NORM,
            )
        with torch.no_grad():
            error = (objective.model(views.inputs).output - views.targets).square().sum()
        yield explained_variance(float(error), float(views.targets.square().sum()))


def crop(config: Config) -> Config:
    """The config with windows of at most 20 s, but long enough for the model."""
    shortest = max(round(CROP_SECONDS * config.data.fs_hz), 2 * config.model.stride)
    samples = min(config.data.window_samples, shortest)
    data = config.data.model_copy(update={"window_seconds": samples / config.data.fs_hz})
    return config.model_copy(update={"data": data})


def pick_windows(cropped: Config, windows: Windows) -> WindowBatch:
    """The beginnings of the first few windows of the run's own order."""
    num_windows = round(SIGNAL_SECONDS / cropped.data.window_seconds)
    batches = windows.batches(
        min(max(num_windows, 2), MOST_WINDOWS),
        seed=cropped.seed,
        buffer_mb=cropped.data.shuffle_buffer_mb,
        read_ahead=0,
    )
    batch, samples = next(batches), cropped.data.window_samples
    return WindowBatch(batch.window_id, batch.signal[:, :samples], batch.denoised[:, :samples])


def _finding(config: Config, explained: float, steps: int, num_windows: int) -> SelfCheck:
    passed = explained >= LEAST_EXPLAINED
    outcome = (
        f"self-check {'passed' if passed else 'failed'}: after {steps} steps on {num_windows} "
        f"training windows {explained:.1%} of their variance is explained"
    )
    cause = (
        f"; a model that can learn explains {LEAST_EXPLAINED:.0%} by then, predicting the mean "
        f"0 %: {remedy(carries_position=carries_position(config.model))}"
    )
    return SelfCheck(explained, steps, passed, outcome if passed else outcome + cause)
