"""One optimiser step: accumulate the micro-batches' gradients, clip, apply."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ppgssl.objectives.terms import LossTerms
from ppgssl.training.joining import Alone, Joining
from ppgssl.views import Views

ALONE = Alone()


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did; the numbers stay on the device until somebody needs them.

    `applied` is False when the scaler met an overflow and skipped the update.
    """

    losses: dict[str, Float[Tensor, ""]]
    grad_norm: Float[Tensor, ""]
    applied: Bool[Tensor, ""]


def train_step(
    objective: nn.Module,
    micro_batches: Sequence[Views],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    amp_dtype: torch.dtype,
    max_grad_norm: float,
    num_windows: int | None = None,
    joining: Joining = ALONE,
) -> StepResult:
    """Average the gradient over the windows of all micro-batches, clip it, apply it once.

    Args:
        objective: Maps views to `LossTerms`, each the mean over the views.
        micro_batches: Views; groups may differ in number and length, every window weighs the same.
            A part that some groups lack is the mean over the others.
        optimizer: Holds the objective's parameters.
        scaler: Scales the loss where half precision needs it; disabled otherwise.
        amp_dtype: float32 switches autocast off.
        max_grad_norm: Largest norm of the averaged gradient.
        num_windows: Of the whole step, where other processes compute some of its micro-batches.
        joining: How to come together with them.

    Note:
        Batch norm sees each micro-batch alone, so its statistics are those of a micro-batch.
    """
    optimizer.zero_grad(set_to_none=True)
    joining.begin()
    num_windows = num_windows or sum(views.num_windows for views in micro_batches)
    sums: dict[str, Tensor] = {}
    shares: dict[str, float] = {}
    for views in micro_batches:
        share = views.num_windows / num_windows
        with torch.autocast(
            views.inputs.device.type, dtype=amp_dtype, enabled=amp_dtype is not torch.float32
        ):
            terms: LossTerms = objective(views)
        scaler.scale(terms.total * share).backward()
        for name, value in terms.detached().items():
            sums[name] = sums[name] + share * value if name in sums else share * value
            shares[name] = shares.get(name, 0.0) + share
    sums, shares = joining.finish(sums, shares)

    scaler.unscale_(optimizer)  # clip the true gradient, not the scaled one
    grad_norm = nn.utils.clip_grad_norm_(objective.parameters(), max_grad_norm)
    one = torch.ones_like(grad_norm)
    scale = scaler.scale(one)  # as a number it would be a wait for the device
    scaler.step(optimizer)
    scaler.update()
    losses = {name: value / shares[name] for name, value in sums.items()}
    return StepResult(losses, grad_norm, applied=scaler.scale(one) >= scale)
