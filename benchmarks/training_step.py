"""One step of the trainer without its dataset: augmentation, losses, gradients, optimiser."""

from collections.abc import Sequence

import torch

from benchmarks.training_work import step_bytes, step_flops
from benchmarks.windows import LONG, windows
from ppgssl.config import load_config
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.models.encoder import standardise
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.step import StepResult, train_step
from ppgssl.views import Views, make_views


class TrainingStep:
    """The same step again and again: the same windows, the same draws.

    Args:
        preset: Name of a config.
        overrides: Of its keys.
        samples: Of a window.
        device: Where to compute.
        amp_dtype: float32 switches autocast off.
    """

    def __init__(
        self,
        preset: str,
        overrides: Sequence[str] = (),
        *,
        samples: int = LONG,
        device: torch.device | None = None,
        amp_dtype: torch.dtype = torch.float32,
    ) -> None:
        self.config = load_config(preset, overrides)
        self.device = device or torch.device("cpu")
        self._amp_dtype = amp_dtype
        torch.manual_seed(0)
        model = build_autoencoder(self.config).to(self.device)
        self._objective = PretrainingObjective(
            model,
            self.config,
            keep_activations=self.config.training.checkpoint_activations is not True,
        )
        self._objective.to(self.device).train()
        self._optimizer = torch.optim.AdamW(self._objective.parameters(), lr=1e-4, fused=True)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=amp_dtype is torch.float16)
        batch = torch.from_numpy(windows(self.config.training.micro_batch, samples))
        self._windows = standardise(batch.to(self.device))[:, None]

    def __call__(self) -> StepResult:
        """One optimiser step over one micro-batch."""
        return train_step(
            self._objective,
            self._views(),
            self._optimizer,
            self._scaler,
            amp_dtype=self._amp_dtype,
            max_grad_norm=self.config.training.max_grad_norm,
        )

    def flops(self) -> int:
        """Of one step's layers."""
        return step_flops(self._objective.model, self._views())

    def bytes_moved(self) -> int:
        """By one step's layers, where everything else is fused into them."""
        return step_bytes(self._objective.model, self._views(), self._amp_dtype.itemsize)

    def _views(self) -> list[Views]:
        return make_views(
            self._windows,
            self._windows,
            self.config.augmentation,
            fs_hz=self.config.data.fs_hz,
            generator=torch.Generator(self.device).manual_seed(0),
        )
