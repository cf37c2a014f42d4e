"""Every loss against closed forms and against a slow reference in plain Python."""

import inspect
import math

import pytest
import torch

from ppgssl import losses


def sine(cycles: float, *, samples: int = 1000, phase: float = 0.0) -> torch.Tensor:
    t = torch.arange(samples, dtype=torch.float32) / samples
    return torch.sin(2 * math.pi * cycles * t + phase)[None, None]


def slow_ssim(x: list[float], y: list[float], size: int) -> float:
    weights = [math.exp(-((i - (size - 1) / 2) ** 2) / (2 * 1.5**2)) for i in range(size)]
    weights = [w / sum(weights) for w in weights]
    c1, c2 = (0.01 * 4) ** 2, (0.03 * 4) ** 2
    values = []
    for start in range(len(x) - size + 1):
        a, b = x[start : start + size], y[start : start + size]
        mean_a = sum(w * v for w, v in zip(weights, a, strict=True))
        mean_b = sum(w * v for w, v in zip(weights, b, strict=True))
        var_a = sum(w * (v - mean_a) ** 2 for w, v in zip(weights, a, strict=True))
        var_b = sum(w * (v - mean_b) ** 2 for w, v in zip(weights, b, strict=True))
        cov = sum(w * (v - mean_a) * (u - mean_b) for w, v, u in zip(weights, a, b, strict=True))
        values.append(
            (2 * (mean_a + 2) * (mean_b + 2) + c1)
            / ((mean_a + 2) ** 2 + (mean_b + 2) ** 2 + c1)
            * (2 * cov + c2)
            / (var_a + var_b + c2)
        )
    return 1 - sum(values) / len(values)


@pytest.mark.parametrize("loss", [losses.mse, losses.ssim, losses.fft])
def test_a_perfect_reconstruction_costs_nothing(loss):
    x = torch.randn(3, 1, 256, generator=torch.Generator().manual_seed(0))

    assert loss(x, x.clone()).item() == pytest.approx(0, abs=2e-4)


@pytest.mark.parametrize("loss", [losses.mse, losses.ssim, losses.fft])
def test_shapes_that_differ_are_refused_with_both_shapes(loss):
    unchecked = inspect.unwrap(loss)  # without the tests' own shape checker, as users run it

    with pytest.raises(ValueError, match=r"\(2, 1, 64\) and \(2, 1, 65\)"):
        unchecked(torch.zeros(2, 1, 64), torch.zeros(2, 1, 65))


def test_mse_of_the_mean_is_the_variance():
    x = sine(5) * math.sqrt(2)  # a sine of amplitude sqrt 2 has variance 1

    assert losses.mse(torch.zeros_like(x), x).item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("size", [3, 11])
def test_ssim_equals_the_slow_reference(size: int):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 40, generator=generator)

    fast = losses.ssim(x[None, None], y[None, None], window_size=size)

    assert fast.item() == pytest.approx(slow_ssim(x.tolist(), y.tolist(), size), rel=1e-4)


def test_ssim_of_a_sign_flip_is_worse_than_of_silence():
    x = sine(20)

    assert losses.ssim(-x, x) > losses.ssim(torch.zeros_like(x), x) > losses.ssim(0.9 * x, x)


def test_ssim_refuses_a_window_longer_than_the_signal():
    with pytest.raises(ValueError, match="exceeds 8 samples"):
        losses.ssim(torch.zeros(1, 1, 8), torch.zeros(1, 1, 8))


@pytest.mark.parametrize("phase", [0.3, math.pi / 2, math.pi])
def test_a_phase_shift_costs_one_minus_its_cosine(phase: float):
    x, shifted = sine(10), sine(10, phase=phase)

    assert losses.fft(shifted, x).item() == pytest.approx(1 - math.cos(phase), abs=2e-3)


def test_bins_without_signal_do_not_weigh_in_the_phase():
    x = sine(10)
    noise_elsewhere = x + 0.01 * sine(200) + 0.01 * sine(300, phase=1.0)

    assert losses.fft(noise_elsewhere, x).item() < 2e-3


def test_a_gain_costs_only_magnitude():
    x = sine(10)  # amplitude 1, 1000 samples: the ortho magnitude of its bin is sqrt(1000) / 2
    bins = torch.fft.rfft(x, norm="ortho")

    magnitude = losses.spectral_magnitude(torch.fft.rfft(2 * x, norm="ortho"), bins)
    phase = losses.spectral_phase(torch.fft.rfft(2 * x, norm="ortho"), bins)

    assert magnitude.item() == pytest.approx(250 / 501, rel=1e-3)
    assert phase.item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("loss", [losses.mse, losses.ssim, losses.fft])
def test_losses_are_float32_and_finite_under_autocast_for_large_values(loss):
    x = 300 * torch.randn(1, 1, 500, generator=torch.Generator().manual_seed(2))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(x.bfloat16(), -x.bfloat16())

    assert value.dtype is torch.float32
    assert math.isfinite(value.item())


@pytest.mark.parametrize("loss", [losses.mse, losses.ssim, losses.fft])
def test_gradients_are_finite_at_an_output_of_silence(loss):
    x = torch.zeros(2, 1, 128, requires_grad=True)

    loss(x, sine(4, samples=128).expand(2, 1, 128)).backward()

    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_explained_variance_is_one_for_no_error_and_zero_for_the_mean():
    assert losses.explained_variance(0.0, 5.0) == 1
    assert losses.explained_variance(5.0, 5.0) == 0
    assert math.isnan(losses.explained_variance(1.0, 0.0))
