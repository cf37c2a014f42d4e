"""Which of many rates a log spectrum names: a soft choice that starts as a comb of harmonics.

Axes used in this file:
    B  windows    N  tokens    F  frequencies, of several spectra one after the other
    R  candidate rates    O  outputs
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

GAIN = 4.0  # brings the chances' part of the output to the size of normalised features
CHANCE_FLOOR = 1e-6


class RateChoice(nn.Module):
    """Score candidate rates by a learnt comb, choose softly, and say how sure the choice is.

    Args:
        frequencies_hz: Of the log powers that are given, evenly spaced within a spectrum.
        rates_bpm: Slowest and fastest candidate, and their number.
        harmonics: How much the power at 1, 2, ... times a rate counts at first.
        sharpness: Of the choice at first; a log power is given in units of 2.5 nats.
    """

    positions: Tensor

    def __init__(
        self,
        frequencies_hz: Float[Tensor, " F"],
        rates_bpm: tuple[float, float, int],
        *,
        harmonics: Sequence[float],
        sharpness: float,
    ) -> None:
        super().__init__()
        slowest, fastest, candidates = rates_bpm
        rates_hz = torch.linspace(slowest, fastest, candidates) / 60
        self.score = nn.Conv1d(len(frequencies_hz), candidates, 1)
        comb = sharpness * harmonic_comb(frequencies_hz, rates_hz, harmonics)
        with torch.no_grad():
            self.score.weight.copy_(comb[..., None])
            nn.init.zeros_(self.score.bias)  # pyright: ignore[reportArgumentType]
        positions = torch.linspace(-1, 1, candidates)[:, None]
        self.register_buffer("positions", positions, persistent=False)
        self.features = candidates + 2

    def forward(self, log_power: Float[Tensor, "B F N"]) -> Float[Tensor, "B O N"]:
        """Each candidate's chance, the mean rate on a scale of -1 to 1, and the entropy."""
        return self.describe(self.score(log_power).transpose(1, 2)).transpose(1, 2)

    def describe(self, scores: Float[Tensor, "B N R"]) -> Float[Tensor, "B N O"]:
        """The same of candidates that have their scores."""
        chances = scores.softmax(dim=-1)
        mean = chances @ self.positions
        entropy = -(chances * (chances + CHANCE_FLOOR).log()).sum(dim=-1, keepdim=True)
        return torch.cat([GAIN * chances, GAIN * mean, entropy], dim=-1)


def harmonic_comb(
    frequencies_hz: Float[Tensor, " F"], rates_hz: Float[Tensor, " R"], harmonics: Sequence[float]
) -> Float[Tensor, "R F"]:
    """What each frequency adds to each rate's score: the harmonics, interpolated linearly."""
    spacing = frequencies_hz[1] - frequencies_hz[0]
    weights = torch.zeros(len(rates_hz), len(frequencies_hz))
    for multiple, weight in enumerate(harmonics, start=1):
        distance = (frequencies_hz - multiple * rates_hz[:, None]).abs() / spacing
        weights += weight * (1 - distance).clamp_min(0)
    return weights
