"""The GPU's training benchmark, on a CPU and with a small model: what it says belongs together."""

import pytest
import torch

from benchmarks.gpu_machine import Machine
from benchmarks.gpu_training import (
    PLAIN_BATCH,
    REFERENCE_EPOCHS,
    REFERENCE_WINDOWS,
    measure_training,
)
from benchmarks.training_step import TrainingStep

SMALL = ("model.base_filters=4", "model.max_filters=16", "model.num_blocks=3")
SAMPLES = 1_250


def test_rates_floors_and_minutes_agree():
    machine = Machine(torch.device("cpu"), {"fp32": 1e9}, 1e9)

    plain, *figures = measure_training(machine, samples=SAMPLES, rounds=1, overrides=SMALL)

    against_plain, share, minutes = figures[:3]
    assert plain.value is not None
    assert against_plain.value is not None
    assert share.value is not None
    rate = plain.value * against_plain.value
    assert minutes.value == pytest.approx(REFERENCE_EPOCHS * REFERENCE_WINDOWS / rate / 60)
    step = TrainingStep("as_drawn", [*SMALL, f"training.batch_size={PLAIN_BATCH}"], samples=SAMPLES)
    floor_s = max(step.flops(), step.bytes_moved()) / 1e9
    assert share.value == pytest.approx(floor_s * rate / PLAIN_BATCH)
    assert len(figures) == 12
