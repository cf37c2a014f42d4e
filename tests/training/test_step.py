"""One optimiser step: accumulation, clipping, overflow."""

import copy

import pytest
import torch
from torch import Tensor, nn

from ppgssl.objectives.terms import LossTerms
from ppgssl.training.step import StepResult, train_step
from ppgssl.views import Views


class MeanSquare(nn.Module):
    """Loss of a linear map without batch norm, so that micro-batches do not see each other."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 1)
        self.gain = gain

    def forward(self, views: Views) -> LossTerms:
        windows, targets = views.inputs, views.targets
        loss = self.gain * (self.linear(windows).squeeze(-1) - targets.mean(-1)).square().mean()
        return LossTerms(loss, {"mse": loss})


def step(
    objective: MeanSquare,
    batches: list[tuple[Tensor, Tensor]],
    *,
    scaler: torch.amp.GradScaler | None = None,
    max_grad_norm: float = 1e9,
) -> StepResult:
    return train_step(
        objective,
        [Views.plain(*batch) for batch in batches],
        torch.optim.SGD(objective.parameters(), lr=0.1),
        scaler or torch.amp.GradScaler("cpu", enabled=False),
        amp_dtype=torch.float32,
        max_grad_norm=max_grad_norm,
    )


def windows(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    return (
        torch.randn(count, 1, 8, generator=generator),
        torch.randn(count, 1, 8, generator=generator),
    )


@pytest.mark.parametrize("sizes", [[4, 4, 4, 4], [8, 8], [6, 6, 4], [15, 1]])
def test_micro_batches_of_any_sizes_move_the_weights_like_one_big_batch(sizes: list[int]):
    torch.manual_seed(0)
    whole, one = windows(16), MeanSquare()
    parts = copy.deepcopy(one)

    expected = step(one, [whole])
    got = step(parts, list(zip(whole[0].split(sizes), whole[1].split(sizes), strict=True)))

    torch.testing.assert_close(parts.linear.weight, one.linear.weight)
    torch.testing.assert_close(got.losses, expected.losses)
    torch.testing.assert_close(got.grad_norm, expected.grad_norm)


def test_the_applied_gradient_has_the_largest_norm_allowed():
    objective = MeanSquare(gain=1000)
    before = copy.deepcopy(objective)

    result = step(objective, [windows(8)], max_grad_norm=0.5)

    moved = torch.cat(
        [
            (a - b).flatten()
            for a, b in zip(objective.parameters(), before.parameters(), strict=True)
        ]
    )
    assert result.grad_norm > 0.5
    assert moved.norm().item() == pytest.approx(0.1 * 0.5, rel=1e-4)  # learning rate 0.1


def test_an_overflow_skips_the_step_and_halves_the_scale():
    objective = MeanSquare(gain=1e30)
    before = copy.deepcopy(objective.state_dict())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)

    result = step(objective, [windows(4)], scaler=scaler)

    assert not result.applied
    assert scaler.get_scale() == 2.0**39
    torch.testing.assert_close(objective.state_dict(), before)


class Unread(torch.amp.GradScaler):
    """A scaler whose scale may not be fetched from the device."""

    def get_scale(self) -> float:
        raise AssertionError("a step waited for the device")


@pytest.mark.parametrize("gain", [1.0, 1e30])
def test_a_step_leaves_on_the_device_whether_it_was_applied(gain: float):
    objective = MeanSquare(gain=gain)

    result = step(objective, [windows(4)], scaler=Unread("cpu", init_scale=2.0**40))

    assert result.applied.tolist() is (gain == 1.0)
    assert result.applied.device == objective.linear.weight.device


def test_a_scaled_step_moves_the_weights_like_an_unscaled_one():
    torch.manual_seed(0)
    plain = MeanSquare()
    scaled = copy.deepcopy(plain)

    step(plain, [windows(8)], max_grad_norm=0.1)
    step(
        scaled,
        [windows(8)],
        scaler=torch.amp.GradScaler("cpu", init_scale=1024.0),
        max_grad_norm=0.1,
    )

    torch.testing.assert_close(scaled.linear.weight, plain.linear.weight)
