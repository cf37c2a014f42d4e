"""Running statistics of several processes, joined to those that one process would have.

Batch norm and whitening keep moments that each forward pass moves a little: after n passes the
old ones count (1 - momentum)ⁿ. That is linear in the moments, so what each process added to the
same old moments can be weighed by the passes that come after its own, and summed.

Axes used in this file:
    M  modules that keep moments    N  all their moments, one after the other
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ppgssl.models.whitening import MOMENTUM, Whitening


@dataclass(frozen=True, slots=True)
class Moments:
    """All moments of a model at one time, and how many forward passes each module has counted."""

    values: Float[Tensor, " N"]
    passes: Int[Tensor, " M"]


class RunningStatistics:
    """What a model's batch norms and whitenings keep; on the device, without a wait for it."""

    def __init__(self, model: nn.Module) -> None:
        self._norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
        self._whitenings = [m for m in model.modules() if isinstance(m, Whitening)]
        kept = [(_momentum(norm), _of_norm(norm)) for norm in self._norms]
        kept += [(MOMENTUM, whitening.moments()) for whitening in self._whitenings]
        device = next(model.parameters()).device
        self._sizes = [len(part) for _, parts in kept for part in parts]
        self._momenta = torch.tensor([momentum for momentum, _ in kept], device=device)
        lengths = [sum(len(part) for part in parts) for _, parts in kept]
        self._module_of = torch.repeat_interleave(torch.tensor(lengths, device=device).long())

    def read(self) -> Moments:
        """As they are now; a copy."""
        parts = [part for norm in self._norms for part in _of_norm(norm)]
        parts += [part for whitening in self._whitenings for part in whitening.moments()]
        counts = [_count_of(norm) for norm in self._norms]
        counts += [whitening.passes for whitening in self._whitenings]
        if not parts:
            return Moments(self._momenta, self._module_of)
        return Moments(torch.cat(parts), torch.stack(counts))

    def added(
        self, before: Moments, now: Moments, passes_after: Int[Tensor, " M"]
    ) -> Float[Tensor, " N"]:
        """What was added to `before`, as it counts after so many further passes."""
        own = now.values - self._kept(now.passes - before.passes) * before.values
        return self._kept(passes_after) * own

    @torch.no_grad()
    def write(self, before: Moments, added: Float[Tensor, " N"], passes: Int[Tensor, " M"]) -> None:
        """Set the moments to those after so many passes since `before`, which added so much."""
        values = self._kept(passes) * before.values + added
        parts = iter(values.split(self._sizes))
        counts = iter(before.passes + passes)
        for norm in self._norms:
            for moment in _of_norm(norm):
                moment.copy_(next(parts))
            _count_of(norm).copy_(next(counts))
        for whitening in self._whitenings:
            whitening.set_moments(next(parts), next(parts), passes=next(counts))

    def _kept(self, passes: Int[Tensor, " M"]) -> Float[Tensor, " N"]:
        """How much of each moment is left after so many passes of its module."""
        return ((1 - self._momenta) ** passes)[self._module_of]


def _momentum(norm: nn.BatchNorm1d) -> float:
    assert norm.momentum is not None, "a plain mean over all batches is no running one"
    return norm.momentum


def _count_of(norm: nn.BatchNorm1d) -> Tensor:
    assert norm.num_batches_tracked is not None
    return norm.num_batches_tracked


def _of_norm(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var
