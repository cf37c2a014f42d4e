"""Whole runs on a CUDA device that is pretended: no devices mixed, and no step waited for."""

import numpy as np
import pytest
from pretended_cuda import DEVICE, pretended_cuda
from runs import Recorded, stop_after, tiny_config

from ppgssl.inference.encoder import load_encoder
from ppgssl.training.trainer import train

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

ON_DEVICE = f"device={DEVICE}"
BETWEEN_STEPS = {
    "training/checkpoint.py",
    "training/health.py",
    "training/reconstructions.py",
    "training/recorder.py",
    "training/trainer.py",  # the loss scale, in a checkpoint
    "training/validation.py",
}


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_run_waits_for_the_device_between_steps_only(dataset, tmp_path, precision):
    told = Recorded()
    config = tiny_config(ON_DEVICE, f"training.precision={precision}")

    with pretended_cuda() as waits:
        result = train(config, dataset, tmp_path, reporter=told)

    assert result.stop_reason == "completed"
    assert told.plans[0].device == str(DEVICE)
    assert any(f"lie on {DEVICE}" in note for note in told.notes)
    assert waits.keys() <= BETWEEN_STEPS


@pytest.mark.slow
def test_a_run_stopped_on_the_device_resumes_there(dataset, tmp_path):
    whole, parts = Recorded(), Recorded()
    config = tiny_config(ON_DEVICE, "training.precision=fp16", "training.epochs=3")

    with pretended_cuda():
        train(config, dataset, tmp_path / "whole", reporter=whole)
        train(config, dataset, tmp_path / "parts", reporter=parts, should_stop=stop_after(4))
        train(config, dataset, tmp_path / "parts", reporter=parts, resume=True)

    losses = [point.values["total"] for point in whole.points]
    assert [point.values["total"] for point in parts.points] == pytest.approx(losses)


def test_an_encoder_embeds_on_the_device_as_on_a_cpu(encoder_folder):
    windows = np.random.default_rng(0).normal(size=(3, 1250)).astype(np.float32)
    expected = load_encoder(encoder_folder, "cpu").embed(windows)

    with pretended_cuda() as waits:
        found = load_encoder(encoder_folder, str(DEVICE)).embed(windows)

    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=1e-4, atol=1e-5)
    assert waits == {"inference/encoder.py": 1}
