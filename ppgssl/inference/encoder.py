"""Embed PPG windows of any length and rate with a trained encoder.

The one path from samples to embeddings: the command line, the service and notebooks all call it, so
the same window gives the same embedding everywhere. It never denoises: the encoder learnt to.

Axes used in this file:
    N  windows    T  samples of a window    D  width of the embedding
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ppgssl.errors import WindowError
from ppgssl.models.encoder import Encoder, standardise
from ppgssl.models.encoder_file import EncoderInfo, read_encoder
from ppgssl.signal.quality import find_fault, signal_quality
from ppgssl.signal.resample import resample

DEFAULT_ENCODER = "default"
DEFAULT_ENCODER_FOLDER = Path(__file__).parent / "default_encoder"

SHORTEST_WINDOW_S = 2.0  # at least one heartbeat, even at 30 bpm
BATCH_SAMPLES = 600_000  # eight ten-minute windows: bounds the memory of one forward pass

Signals = Float[np.ndarray, "N T"]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings (N, D) and signal quality (N,) from 0 to 1, float32, in the windows' order."""

    embedding: Float[np.ndarray, "N D"]
    quality: Float[np.ndarray, " N"]


class PpgEncoder:
    """A trained encoder with the preprocessing that belongs to it.

    Args:
        encoder: The network, in evaluation mode.
        info: What its file says of it.
        device: Where to compute.
    """

    def __init__(self, encoder: Encoder, info: EncoderInfo, device: torch.device) -> None:
        self.info = info
        self.device = device
        self._encoder = encoder.to(device).eval()

    def find_fault(self, window: Float[np.ndarray, " T"], fs_hz: float | None = None) -> str | None:
        """Why a window cannot be embedded, with what was expected; None where it can."""
        rate_hz = fs_hz or self.info.fs_hz
        seconds = window.shape[-1] / rate_hz
        if seconds < SHORTEST_WINDOW_S:
            return (
                f"too short: {window.shape[-1]} samples at {rate_hz:g} Hz are {seconds:.2f} s, "
                f"at least {SHORTEST_WINDOW_S:g} s are needed"
            )
        if not np.isfinite(window).all():
            missing = int(np.count_nonzero(~np.isfinite(window)))
            return f"not finite: {missing} of {window.shape[-1]} samples are NaN or infinite"
        if find_fault(window, rate_hz) == "flat":
            return "flat: the samples hardly vary, so there is no pulse to embed"
        return None

    def embed(self, windows: Signals, fs_hz: float | None = None) -> Embeddings:
        """Embed windows of one length.

        Args:
            windows: Samples in any unit; float32 is not copied.
            fs_hz: Their sampling rate, Hz; None is the encoder's own. Other rates are resampled
                with an anti-aliasing filter.

        Raises:
            WindowError: A window is too short, flat, or not finite; the message names it.
        """
        if windows.ndim != 2:
            raise WindowError(
                f"expected an array of shape (windows, samples), got shape {windows.shape}"
            )
        for index, window in enumerate(windows):
            fault = self.find_fault(window, fs_hz)
            if fault is not None:
                raise WindowError(f"window {index}: {fault}")
        own_hz = self.info.fs_hz
        samples = resample(windows.astype(np.float32, copy=False), fs_hz or own_hz, own_hz)
        per_batch = max(1, BATCH_SAMPLES // samples.shape[-1])
        embeddings = [
            self._forward(samples[start : start + per_batch])
            for start in range(0, len(samples), per_batch)
        ]
        return Embeddings(
            embedding=np.concatenate(embeddings) if embeddings else self._none(),
            quality=np.asarray(signal_quality(samples, own_hz), dtype=np.float32),
        )

    @torch.inference_mode()
    def _forward(self, samples: Signals) -> Float[np.ndarray, "N D"]:
        batch: Tensor = torch.from_numpy(np.ascontiguousarray(samples)).to(self.device)
        return self._encoder(standardise(batch)[:, None]).float().cpu().numpy()

    def _none(self) -> Float[np.ndarray, "N D"]:
        return np.empty((0, self.info.embedding_dim), dtype=np.float32)


def load_encoder(source: str | Path, device: str = "cpu") -> PpgEncoder:
    """Load a trained encoder.

    Args:
        source: A checkpoint folder, a run folder (its `best` is taken), `encoder.safetensors`, or
            `default` for the encoder that comes with ppgssl.
        device: `cpu`, `cuda` or `cuda:N`.

    Raises:
        CheckpointError: There is no encoder, or it is damaged.
    """
    path = DEFAULT_ENCODER_FOLDER if str(source) == DEFAULT_ENCODER else Path(source)
    encoder, info = read_encoder(path)
    return PpgEncoder(encoder, info, torch.device(device))
