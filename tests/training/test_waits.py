"""A step on the meta device, where nothing has a value: what would wait for a GPU's is an error."""

from contextlib import nullcontext

import pytest
import torch

from ppgssl.config import load_config
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.step import train_step
from ppgssl.views import make_views

META = torch.device("meta")


@pytest.mark.parametrize("preset", ["ssl_pretraining", "as_drawn", "one_minute", "ten_seconds"])
def test_a_step_waits_for_no_value(preset: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it knows no meta
    config = load_config(preset)
    model = build_autoencoder(config).to(META)
    objective = PretrainingObjective(model, config, keep_activations=True).to(META).train()
    windows = torch.empty(4, 1, config.data.window_samples, device=META)
    views = make_views(
        windows,
        windows,
        config.augmentation,
        fs_hz=config.data.fs_hz,
        generator=torch.Generator().manual_seed(0),
    )

    result = train_step(
        objective,
        views,
        torch.optim.AdamW(objective.parameters()),
        torch.amp.GradScaler("cpu", enabled=False),
        amp_dtype=torch.float32,
        max_grad_norm=1.0,
    )

    told = [*result.losses.values(), result.grad_norm, result.applied]
    assert {value.device for value in told} == {META}
