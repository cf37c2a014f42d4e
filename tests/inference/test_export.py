"""The exported graph computes what PyTorch computes, from raw windows, without the library."""

import re
import subprocess
import sys
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from ppgssl.errors import RunError
from ppgssl.inference import export
from ppgssl.inference.encoder import load_encoder


@pytest.fixture(autouse=True)
def unchecked_shapes():
    """The exporter traces with symbolic sizes, which are no int to the tests' shape checker."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [["segment_seconds=2"], ["segment_seconds=10"], ["pooling=mean", "segment_seconds=null"]],
)
def test_an_exported_encoder_embeds_raw_windows_of_any_number_and_length(
    make_encoder, tmp_path, overrides
):
    import onnxruntime

    folder = make_encoder(*(f"model.{override}" for override in overrides))
    path = tmp_path / "encoder.onnx"

    distance = export.export_onnx(folder, path)

    session = onnxruntime.InferenceSession(str(path))
    generator = np.random.default_rng(0)
    for num_windows, samples in [(1, 1250), (5, 777), (2, 75_000)]:
        windows = (100 + generator.normal(size=(num_windows, samples))).astype(np.float32)
        (embedding,) = session.run(None, {"windows": windows})
        expected = load_encoder(folder).embed(windows).embedding
        np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-4)
    assert distance < 1e-4


@pytest.mark.slow
def test_an_export_that_does_not_agree_is_refused_and_removed(
    encoder_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(export, "PARITY", 0.0)

    with pytest.raises(RunError, match="differs from PyTorch"):
        export.export_onnx(encoder_folder, tmp_path / "encoder.onnx")

    assert list(tmp_path.glob("*.onnx")) == []


EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_without_pytorch.py"


@pytest.mark.slow
def test_the_example_embeds_the_same_where_there_is_no_pytorch(tmp_path):
    export.export_onnx("default", tmp_path / "encoder.onnx")
    t = np.arange(1250) / 125
    windows = np.sin(2 * np.pi * np.array([[1.0], [1.5]]) * t).astype(np.float32)
    np.save(tmp_path / "windows.npy", windows)
    for absent in ("torch", "ppgssl"):
        (tmp_path / f"{absent}.py").write_text("raise ImportError('not installed here')")
    script = tmp_path / EXAMPLE.name
    script.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    names = ["encoder.onnx", "windows.npy", "embeddings.npy"]

    subprocess.run([sys.executable, script, *(tmp_path / name for name in names)], check=True)

    found = np.load(tmp_path / "embeddings.npy")
    expected = load_encoder("default").embed(windows).embedding
    distance = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert distance.max() < 1e-4
    assert len(re.findall(r"^[^\s\"#].*", EXAMPLE.read_text("utf-8"), re.MULTILINE)) <= 10
