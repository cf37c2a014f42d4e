"""The encoder alone: how much of the machine's matrix rate its forward pass reaches.

Side by side: PyTorch as the layers are written (eager), the path that ppgssl uses, and other
runtimes where they are installed. All have to give the same embeddings first.
"""

import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import GEMM_SIZE, Figure, in_turn, seconds
from benchmarks.windows import FS_HZ, LONG, SHORT, windows
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.encoder_path import DEFAULT_ENCODER_FOLDER
from ppgssl.inference.export import PARITY, export_onnx, relative_distance
from ppgssl.inference.granularity import Granularity
from ppgssl.models.encoder import Encoder, standardise
from ppgssl.models.encoder_file import read_encoder

BATCHES = ((1, LONG), (8, LONG), (1, SHORT), (64, SHORT))
ROUNDS = 7

Signals = np.ndarray
Runtime = Callable[[Signals], np.ndarray]


def measure() -> Iterator[Figure]:
    """Shares of the matrix rate, by runtime and batch."""
    ours = load_encoder("default")
    written, _ = read_encoder(DEFAULT_ENCODER_FOLDER)
    runtimes: dict[str, Runtime] = {
        "eager": lambda x: eager(written, x),
        "ppgssl": lambda x: ours.embed_sound(x, FS_HZ, Granularity.WINDOW).embedding[:, 0],
        **compiled(written),
        **onnx_runtimes(),
    }
    for count, samples in BATCHES:
        batch = windows(count, samples)
        expected = eager(written, batch)
        agreeing = {
            name: run
            for name, run in runtimes.items()
            if relative_distance(run(batch), expected) <= PARITY
        }
        yield from shares(agreeing, batch, flops(written, batch))
    yield Figure("seconds to load the encoder", seconds(lambda: load_encoder("default")), "s")


def shares(runtimes: dict[str, Runtime], batch: Signals, work: int) -> Iterator[Figure]:
    """Of one batch: each runtime's share of the rate of matrix products in the same rounds."""
    matrix = torch.randn(GEMM_SIZE, GEMM_SIZE)
    works = {"gemm": lambda: matrix @ matrix}
    works |= {name: (lambda run=run: run(batch)) for name, run in runtimes.items()}
    taken = in_turn(works, ROUNDS)
    size = f"{batch.shape[0]} x {batch.shape[1]:,}"
    rates = [2 * GEMM_SIZE**3 / one for one in taken["gemm"]]
    for name in runtimes:
        share = statistics.median(
            work / one / rate for one, rate in zip(taken[name], rates, strict=True)
        )
        is_ours = name == "ppgssl" and batch.shape[1] == LONG
        yield Figure(
            f"encoder, {size}, {name}: share of the matrix rate",
            share,
            goal=">= 0.92" if is_ours else "",
            note=f"{1e3 * statistics.median(taken[name]) / len(batch):.2f} ms a window",
        )


@torch.inference_mode()
def eager(encoder: Encoder, batch: Signals) -> np.ndarray:
    """The layers as they are written."""
    return encoder(standardise(torch.from_numpy(batch))[:, None]).numpy()


def compiled(written: Encoder) -> dict[str, Runtime]:
    """`torch.compile` of the layers as they are written, where there is a compiler."""
    run = torch.compile(written, dynamic=False)

    @torch.inference_mode()
    def embed(batch: Signals) -> np.ndarray:
        return run(standardise(torch.from_numpy(batch))[:, None]).numpy()

    return {"torch.compile": embed} if shutil.which("g++") else {}


def onnx_runtimes() -> dict[str, Runtime]:
    """ONNX Runtime and OpenVINO on the exported graph, where they are installed."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "encoder.onnx"
        export_onnx("default", graph)
        return onnxruntime(graph) | openvino(graph)


def onnxruntime(graph: Path) -> dict[str, Runtime]:
    """ONNX Runtime with its defaults for a CPU."""
    from onnxruntime import InferenceSession

    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    return {"ONNX Runtime": lambda batch: session.run(["embedding"], {"windows": batch})[0]}


def openvino(graph: Path) -> dict[str, Runtime]:
    """OpenVINO, compiled for each shape, in float32."""
    if find_spec("openvino") is None:
        return {}
    from openvino import Core

    core = Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    model = core.read_model(graph)
    compiled_for: dict[tuple[int, ...], Any] = {}

    def embed(batch: Signals) -> np.ndarray:
        if batch.shape not in compiled_for:
            model.reshape(list(batch.shape))
            compiled_for[batch.shape] = core.compile_model(model, "CPU")
        return compiled_for[batch.shape](batch)["embedding"]

    return {"OpenVINO": embed}


def flops(written: Encoder, batch: Signals) -> int:
    """Of the layers as they are written, products and sums counted apart."""
    with FlopCounterMode(display=False) as counter:
        eager(written, batch)
    return counter.get_total_flops()
