"""After a step's last backward pass: what several processes computed becomes what one would have.

One sum over all processes carries gradients, losses and running statistics together. It comes once
a step, however many micro-batches were accumulated.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ppgssl.training.processes import Processes
from ppgssl.training.running_statistics import RunningStatistics


@runtime_checkable
class Joining(Protocol):
    """What a step asks of those that compute its other micro-batches."""

    def begin(self) -> None:
        """Called before the first forward pass."""
        ...

    def finish(
        self, sums: dict[str, Tensor], shares: dict[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Called after the last backward pass; gives the sums of all."""
        ...


class Alone:
    """A step that one process computes by itself."""

    def begin(self) -> None:
        """Nothing to do."""

    def finish(
        self, sums: dict[str, Tensor], shares: dict[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """As they are."""
        return sums, shares


class Joint:
    """A step whose micro-batches several processes compute.

    Args:
        objective: The same parameters and statistics on every process.
        names: Every loss term that it may give, in order.
        processes: Who takes part.
    """

    def __init__(self, objective: nn.Module, names: tuple[str, ...], processes: Processes) -> None:
        self._parameters = list(objective.parameters())
        self._names = names
        self._processes = processes
        self._statistics = RunningStatistics(objective)
        self._before = self._statistics.read()

    def begin(self) -> None:
        """Remember the statistics that all processes start from."""
        self._before = self._statistics.read()

    @torch.no_grad()
    def finish(
        self, sums: dict[str, Tensor], shares: dict[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Sum gradients, losses and their shares, and statistics over all processes.

        A process may have had no micro-batch of the step, and a parameter no gradient anywhere:
        that one keeps none, so that the optimiser passes it over as it would with one process.
        """
        given = [parameter.grad is not None for parameter in self._parameters]
        told = torch.tensor([*given, *(shares.get(name, 0.0) for name in self._names)]).double()
        self._processes.add_up(told)
        has_gradient, all_shares = told[: len(given)] > 0, told[len(given) :].tolist()
        parameters = [p for p, has in zip(self._parameters, has_gradient, strict=True) if has]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

        now = self._statistics.read()
        passes = self._processes.stack(now.passes - self._before.passes)
        after = passes[self._processes.rank + 1 :].sum(0)
        gradients = [p.grad for p in parameters if p.grad is not None]
        zero = torch.zeros((), device=now.values.device)
        losses = torch.stack([sums.get(name, zero).float() for name in self._names])
        parts = [*gradients, losses, self._statistics.added(self._before, now, after)]

        total = torch.cat([part.flatten() for part in parts])
        self._processes.add_up(total)
        *summed, losses, added = total.split([part.numel() for part in parts])
        for gradient, new in zip(gradients, summed, strict=True):
            gradient.copy_(new.view_as(gradient))
        self._statistics.write(self._before, added, passes.sum(0))
        present = {n: s for n, s in zip(self._names, all_shares, strict=True) if s > 0}
        by_name = dict(zip(self._names, losses, strict=True))
        return {name: by_name[name] for name in present}, present
