"""What only a CUDA device can show: half precision, its scaler, and agreement with the CPU."""

import numpy as np
import pytest
import torch
from runs import Recorded, pulse_dataset, stop_after, tiny_config

from benchmarks.training import write_dataset
from ppgssl.config import load_config
from ppgssl.data.dataset import open_dataset
from ppgssl.inference.encoder import load_encoder
from ppgssl.training.trainer import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp32"])
def test_a_run_on_cuda_learns_in_every_precision(tmp_path, precision: str):
    data = pulse_dataset(tmp_path / "data", train=192, val=32, windows_per_group=64)
    told = Recorded()
    config = tiny_config(
        "device=cuda",
        f"training.precision={precision}",
        "model.base_filters=8",
        "model.max_filters=32",
        "model.latent_dim=32",
        "training.epochs=30",
        "training.batch_size=16",
        "training.learning_rate=0.005",
    )

    train(config, data, tmp_path / "run", reporter=told)

    assert told.plans[0].precision == {"auto": "float16", "bf16": "bfloat16"}.get(
        precision, "float32"
    )
    explained = [p.values["explained_variance"] for p in told.points if p.split == "val"]
    assert explained[-1] > 0.2


def test_the_default_recipe_trains_in_the_default_precision(tmp_path):
    write_dataset(tmp_path / "data", 64, samples=7500)
    told = Recorded()
    config = load_config(
        "ssl_pretraining",
        ["device=cuda", "data.window_seconds=60", "training.batch_size=8", "training.epochs=4"],
    )

    train(config, open_dataset(tmp_path / "data"), tmp_path / "run", reporter=told)

    assert told.plans[0].precision == "float16"
    totals = [point.values["total"] for point in told.points]
    assert np.isfinite(totals).all()
    assert totals[-1] < totals[0]


def test_a_stopped_run_on_cuda_resumes_with_its_scaler(tmp_path):
    data = pulse_dataset(tmp_path / "data")
    config = tiny_config("device=cuda", "training.epochs=3")

    train(config, data, tmp_path / "run", should_stop=stop_after(4))
    saved = torch.load(tmp_path / "run/last/state.pt", weights_only=True)
    result = train(config, data, tmp_path / "run", resume=True)

    assert saved["scaler"]["scale"] > 0
    assert result.stop_reason == "completed"


def test_windows_held_on_cuda_train_like_windows_sent_there(tmp_path):
    data = pulse_dataset(tmp_path / "data")
    held, sent = Recorded(), Recorded()
    config = ("device=cuda", "training.precision=fp32", "training.epochs=2")

    train(tiny_config(*config), data, tmp_path / "held", reporter=held)
    train(tiny_config(*config, "data.device_cache=false"), data, tmp_path / "sent", reporter=sent)

    assert any("lie on cuda" in note for note in held.notes)
    losses = [point.values["total"] for point in held.points]
    assert losses == pytest.approx([point.values["total"] for point in sent.points], rel=1e-3)


def test_cpu_and_cuda_embed_alike(encoder_folder):
    generator = np.random.default_rng(0)
    windows = generator.normal(size=(4, 75_000)).astype(np.float32)

    on_cpu = load_encoder(encoder_folder, "cpu").embed(windows).embedding
    on_cuda = load_encoder(encoder_folder, "cuda").embed(windows).embedding

    np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-2, atol=1e-3)
