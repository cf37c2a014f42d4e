"""What every objective takes and gives: views of windows in, named loss terms out.

Axes used in this file:
    B  views    C  channels    T  samples
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The loss to minimise and what it is made of, on the device, gradients attached."""

    total: Float[Tensor, ""]
    parts: dict[str, Float[Tensor, ""]]

    def detached(self) -> dict[str, Float[Tensor, ""]]:
        """`total` and the parts by name, without gradients and still on the device."""
        return {"total": self.total.detach()} | {k: v.detach() for k, v in self.parts.items()}
