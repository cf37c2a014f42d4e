"""Export an encoder for runtimes without PyTorch, and prove that it computes the same.

The exported graph takes raw windows (N, T) at the encoder's rate, of any number and length, and
holds the standardisation: nothing is left for the caller to get wrong.

Axes used in this file:
    N  windows    T  samples of a window    D  width of the embedding
"""

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ppgssl.errors import InputError, RunError
from ppgssl.inference.encoder_path import encoder_path
from ppgssl.models.encoder import Encoder, standardise
from ppgssl.models.encoder_file import read_encoder

PARITY = 1e-4  # largest relative distance of an exported embedding
INPUT_NAME, OUTPUT_NAME = "windows", "embedding"


class RawWindowEncoder(nn.Module):
    """Standardise raw windows (N, T) and embed them (N, D)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, windows: Float[Tensor, "N T"]) -> Float[Tensor, "N D"]:
        """One embedding per window."""
        return self.encoder(standardise(windows)[:, None])


def export_onnx(source: str | Path, out: Path) -> float:
    """Write an ONNX file of the encoder in `source` and check it against PyTorch.

    Returns:
        The largest relative distance between the two runtimes' embeddings, over windows of several
        lengths.

    Raises:
        CheckpointError: There is no encoder in `source`.
        InputError: The extra `ppgssl[onnx]` is not installed.
        RunError: The exported file does not agree with the encoder; it is removed.
    """
    try:
        import onnxruntime
        import onnxscript as _  # noqa: F401  what torch's exporter needs
    except ImportError as error:
        raise InputError(
            f"export to ONNX needs {error.name}: pip install 'ppgssl[onnx]'"
        ) from error
    encoder, info = read_encoder(encoder_path(source))
    module = RawWindowEncoder(encoder).eval()
    # Several segments, the last one partial: a size of one in the example would be one for good.
    example = torch.randn(2, 5 * info.window_samples // 2)
    free = torch.export.Dim.DYNAMIC
    with _quiet_exporter():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes={"windows": {0: free, 1: free}},
        )
    assert program is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(out))

    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    lengths = {info.window_samples, info.window_samples // 2, 2 * info.window_samples}
    distance = max(_distance(session, module, samples) for samples in sorted(lengths))
    if distance > PARITY:
        out.unlink()
        raise RunError(
            f"the exported encoder differs from PyTorch by {distance:.1e} relative, more than "
            f"{PARITY:.0e}; the file was removed: try another version of onnxruntime"
        )
    return distance


@contextmanager
def _quiet_exporter() -> Generator[None]:
    """Silence what torch's exporter says about its own passes and about packages we do not use."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


@torch.inference_mode()
def _distance(session: object, module: nn.Module, samples: int) -> float:
    generator = torch.Generator().manual_seed(samples)
    windows = torch.randn(3, samples, generator=generator)
    expected: np.ndarray = module(windows).numpy()
    (found,) = session.run([OUTPUT_NAME], {INPUT_NAME: windows.numpy()})  # type: ignore[attr-defined]
    return relative_distance(found, expected)


def relative_distance(found: Float[np.ndarray, "N D"], expected: Float[np.ndarray, "N D"]) -> float:
    """How far the worst embedding lies from what it should be, as a share of its length."""
    error = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return float(error.max())
