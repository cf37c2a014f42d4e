"""Where rates lie in an embedding, and what is asked of them."""

import pytest
import torch
from torch import Tensor

from ppgssl.models.shared_directions import directions
from ppgssl.objectives.rates import (
    BREATHING,
    PULSE,
    RateScale,
    rate_distance,
    read_rate,
    without_rates,
)


def vector_of(rate: float, scale: RateScale) -> Tensor:
    """The smallest vector that says a rate."""
    return (rate - scale.usual) / scale.step * directions(512)[scale.direction][None]


def distance(scale: RateScale, *, says: float, measured: float, trust: float) -> float:
    vectors = vector_of(says, scale)
    return rate_distance(vectors, torch.tensor([measured]), torch.tensor([trust]), scale).item()


def test_a_vector_can_say_both_rates_at_once():
    vector = vector_of(64, PULSE) + vector_of(22, BREATHING)

    assert read_rate(vector, PULSE).item() == pytest.approx(64)
    assert read_rate(vector, BREATHING).item() == pytest.approx(22)


def test_without_rates_both_are_the_usual_ones_and_the_rest_stays():
    rest = without_rates(torch.randn(3, 512))
    vectors = rest + vector_of(64, PULSE) + vector_of(22, BREATHING)

    left = without_rates(vectors)

    torch.testing.assert_close(left, rest, rtol=1e-4, atol=1e-4)
    assert read_rate(left, PULSE).tolist() == pytest.approx([PULSE.usual] * 3, abs=1e-3)


def test_a_pulse_rate_that_is_not_trusted_is_left_out():
    assert distance(PULSE, says=60, measured=180, trust=0) == 0


def test_a_rate_counts_as_much_as_it_is_trusted():
    vectors = torch.cat([vector_of(12, BREATHING), vector_of(20, BREATHING)])
    measured, trust = torch.tensor([20.0, 20.0]), torch.tensor([0.25, 0.75])

    mixed = rate_distance(vectors, measured, trust, BREATHING).item()

    assert mixed == pytest.approx(0.25 * distance(BREATHING, says=12, measured=20, trust=1))


def test_a_rate_that_could_not_be_measured_does_no_harm():
    vectors = torch.randn(2, 512, requires_grad=True)
    unknown, trust = torch.full((2,), torch.nan), torch.zeros(2)

    (rate_distance(vectors, unknown, trust, PULSE) + 0 * vectors.sum()).backward()

    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()
