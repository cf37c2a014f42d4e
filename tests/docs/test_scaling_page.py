"""docs/scaling.md shows what scripts/scaling.py computes, and that follows from its assumptions."""

import subprocess
import sys
from dataclasses import replace

import pytest
from pages import PAGES, ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from scaling import Assumed, Measured, Model, Scale, simulate, tables


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_the_page_shows_the_tables_that_the_script_computes():
    shown = PAGES["scaling.md"].read_text("utf-8").splitlines()

    assert [line for line in tables(Measured(), Assumed()) if line not in shown] == []


def test_an_hour_of_recording_takes_the_bytes_of_two_signals_of_floats(model):
    assert Scale(1, model, Measured(), Assumed()).dataset_bytes == 2 * 4 * 125 * 3600


def test_computing_takes_the_work_of_all_epochs_at_the_assumed_rate(model):
    scale = Scale(1_000, model, Measured(), Assumed(gpu_tflop_per_s=100, gpu_share=0.1))

    assert scale.gpu_hours * 3600 * 1e13 == pytest.approx(6_000 * 50 * model.training_flops)


@pytest.mark.parametrize(
    ("change", "binds"),
    [
        ({"gpu_share": 0.001}, "GPU"),
        ({"gpu_share": 1.0, "gpus_per_host": 32}, "disk"),
        ({"network_gbit_per_s": 0.1, "gpus_per_host": 1}, "network"),
    ],
)
def test_what_is_scarce_is_what_a_step_waits_for(model, change, binds):
    scale = Scale(1_000_000, model, Measured(), replace(Assumed(), **change))

    assert scale.bottleneck == binds


def test_one_host_tells_nobody_anything(model):
    assert Scale(100, model, Measured(), Assumed()).step_s["network"] == 0


def test_the_order_of_an_epoch_is_planned_over_every_window_of_whole_groups():
    assert simulate(1_000).startswith("1,000 hours: 5,993 windows planned in ")


def test_an_assumption_is_an_option_of_the_script():
    told = subprocess.run(
        [sys.executable, "scripts/scaling.py", "--gpu-dollars", "1000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert told.splitlines()[-1] not in PAGES["scaling.md"].read_text("utf-8")
