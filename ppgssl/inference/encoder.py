"""Embed PPG windows of any length and rate with a trained encoder.

The one path from samples to embeddings: the command line, the service and notebooks all call it, so
the same window gives the same embedding everywhere. It never denoises: the encoder learnt to.

Axes used in this file:
    N  windows    T  samples of a window    D  width of the embedding
    S  segments of a window                 R  rows of a window: one, or one per segment
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ppgssl.errors import WindowError
from ppgssl.html import facts_table
from ppgssl.inference.described_encoder import DescribedEncoder
from ppgssl.inference.encoder_path import encoder_path
from ppgssl.inference.fused_encoder import FusedEncoder, can_fuse
from ppgssl.inference.granularity import Granularity
from ppgssl.inference.lanes import lanes
from ppgssl.models.encoder import Encoder, Windows, standardise
from ppgssl.models.encoder_file import read_encoder
from ppgssl.models.encoder_info import EncoderInfo
from ppgssl.models.pooling import divide_up
from ppgssl.signal.quality import signal_quality
from ppgssl.signal.resample import resample

# of one forward pass, by device: few enough for a core's caches, many enough to fill a GPU
PASS_SAMPLES = {"cpu": 80_000, "cuda": 600_000}
ONE_CORE_SAMPLES = 3_000  # a lone pass of fewer is sooner done by one core than shared

Signals = Float[np.ndarray, "N T"]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings (N, D) and signal quality (N,) from 0 to 1, float32, in the windows' order."""

    embedding: Float[np.ndarray, "N D"]
    quality: Float[np.ndarray, " N"]


@dataclass(frozen=True, slots=True)
class SegmentEmbeddings:
    """Embeddings (N, S, D) and quality (N, S) of each segment; starts (S,) in the window, seconds.

    The last segment may be shorter than the others.
    """

    embedding: Float[np.ndarray, "N S D"]
    quality: Float[np.ndarray, "N S"]
    start_s: Float[np.ndarray, " S"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What windows give at either granularity: embeddings (N, R, D) and quality (N, R)."""

    embedding: Float[np.ndarray, "N R D"]
    quality: Float[np.ndarray, "N R"]


class PpgEncoder(DescribedEncoder):
    """A trained encoder with the preprocessing that belongs to it.

    Args:
        encoder: The network, in evaluation mode.
        info: What its file says of it.
        device: Where to compute.
    """

    def __init__(self, encoder: Encoder, info: EncoderInfo, device: torch.device) -> None:
        super().__init__(info)
        self.device = device
        self._encoder = encoder.to(device).eval()
        self._fused = FusedEncoder(self._encoder) if can_fuse(device) else None

    def _repr_html_(self) -> str:
        info = self.info
        facts = {
            "embedding": f"{info.embedding_dim} numbers",
            "trained on": f"windows of {info.window_s:g} s at {info.fs_hz:g} Hz",
            "training": info.training,
            "device": self.device,
            "sha256": info.sha256,
        }
        return facts_table("encoder", facts)

    @property
    def num_bytes(self) -> int:
        """Memory of the weights."""
        tensors = (*self._encoder.parameters(), *self._encoder.buffers())
        copies = 2 if self._fused else 1
        return copies * sum(tensor.nbytes for tensor in tensors)

    def embed(self, windows: Signals, fs_hz: float | None = None) -> Embeddings:
        """Embed windows of one length.

        Args:
            windows: Samples in any unit; float32 is not copied.
            fs_hz: Their sampling rate, Hz; None is the encoder's own. Other rates are resampled
                with an anti-aliasing filter.

        Raises:
            WindowError: A window is too short, flat, or not finite; the message names it.
        """
        self._check(windows, fs_hz)
        rows = self.embed_sound(windows, fs_hz, Granularity.WINDOW)
        return Embeddings(rows.embedding[:, 0], rows.quality[:, 0])

    def embed_segments(self, windows: Signals, fs_hz: float | None = None) -> SegmentEmbeddings:
        """Embed every segment of windows of one length, each heard in its window.

        The mean of a window's segments, a shorter last one counting less, is its embedding.

        Args:
            windows: Samples in any unit; float32 is not copied.
            fs_hz: Their sampling rate, Hz; None is the encoder's own. Other rates are resampled
                with an anti-aliasing filter.

        Raises:
            WindowError: A window is too short, flat, or not finite; the message names it.
        """
        self._check(windows, fs_hz)
        rows = self.embed_sound(windows, fs_hz, Granularity.SEGMENT)
        start_s = self.row_starts_s(windows.shape[-1], fs_hz, Granularity.SEGMENT)
        return SegmentEmbeddings(rows.embedding, rows.quality, start_s)

    def embed_sound(self, windows: Signals, fs_hz: float | None, granularity: Granularity) -> Rows:
        """Embed windows in which `find_fault` found nothing; it is not asked again."""
        own_hz = self.info.fs_hz
        samples = resample(windows.astype(np.float32, copy=False), fs_hz or own_hz, own_hz)
        passes = self._passes(samples, granularity) or [self._none(samples, granularity)]
        return Rows(
            np.concatenate([rows.embedding for rows in passes]),
            np.concatenate([rows.quality for rows in passes]),
        )

    def windows_at_once(self, num_samples: int, fs_hz: float | None = None) -> int:
        """How many windows of so many samples are best given together."""
        return num_lanes(self.device) * self.windows_per_lane(num_samples, fs_hz)

    def windows_per_lane(self, num_samples: int, fs_hz: float | None = None) -> int:
        """How many of them one lane best computes at once."""
        return self._most_per_pass(self.cost(num_samples, fs_hz))

    def _check(self, windows: Signals, fs_hz: float | None) -> None:
        if windows.ndim != 2:
            raise WindowError(
                f"expected an array of shape (windows, samples), got shape {windows.shape}"
            )
        for index, window in enumerate(windows):
            fault = self.find_fault(window, fs_hz)
            if fault is not None:
                raise WindowError(f"window {index}: {fault}")

    def _most_per_pass(self, num_samples: int) -> int:
        return max(1, PASS_SAMPLES[self.device.type] // max(1, num_samples))

    def _passes(self, samples: Signals, granularity: Granularity) -> list[Rows]:
        """Rows pass by pass: side by side where there are several, on all cores if not."""
        at_once = num_lanes(self.device)
        evenly = divide_up(len(samples), at_once)
        size = max(1, min(evenly, self._most_per_pass(samples.shape[-1])))
        passes = [samples[start : start + size] for start in range(0, len(samples), size)]
        embed = partial(self._pass, granularity=granularity)
        is_alone = len(passes) == 1 and samples.size > ONE_CORE_SAMPLES
        if at_once == 1 or is_alone:
            return [embed(one, stretches=at_once) for one in passes]
        return list(lanes().map(embed, passes))

    def _pass(self, samples: Signals, granularity: Granularity, stretches: int = 1) -> Rows:
        embedding = self._forward(samples, granularity, stretches)
        return Rows(embedding, self._quality(samples, granularity))

    @torch.inference_mode()
    def _forward(
        self, samples: Signals, granularity: Granularity, stretches: int
    ) -> Float[np.ndarray, "N R D"]:
        owned = np.require(samples, np.float32, ["A", "C", "W"])  # torch warns of read-only memory
        batch: Tensor = standardise(torch.from_numpy(owned).to(self.device))[:, None]
        segments = self._segments(batch, stretches)
        if granularity == Granularity.WINDOW:
            rows = self._encoder.embedding_of(segments, batch.shape[-1])[:, None]
        else:
            # each as the only segment of a window that is no longer than a segment
            rows = self._encoder.embedding_of(segments.flatten(0, 1)[:, None], 1)
            rows = rows.unflatten(0, segments.shape[:2])
        return rows.float().cpu().numpy()

    def _segments(self, batch: Windows, stretches: int) -> Float[Tensor, "N S D"]:
        if self._fused is None:
            return self._encoder.segments(batch)
        return self._fused.segments(batch, stretches)

    def _quality(self, samples: Signals, granularity: Granularity) -> Float[np.ndarray, "N R"]:
        own_hz = self.info.fs_hz
        num_windows, num_samples = samples.shape
        size = self.row_samples(granularity) or max(1, num_samples)
        num_whole = num_samples // size
        whole = samples[:, : num_whole * size].reshape(num_windows, num_whole, size)
        rest = samples[:, None, num_whole * size :]
        pieces = [signal_quality(piece, own_hz) for piece in (whole, rest) if all(piece.shape[1:])]
        return np.concatenate([np.empty((num_windows, 0), np.float32), *pieces], axis=1)

    def _none(self, samples: Signals, granularity: Granularity) -> Rows:
        """No windows have rows of some number all the same."""
        num_rows = len(self.row_starts_s(samples.shape[-1], None, granularity))
        shape = (0, num_rows, self.info.embedding_dim)
        return Rows(np.empty(shape, np.float32), np.empty(shape[:2], np.float32))


def num_lanes(device: torch.device) -> int:
    """How many passes a device computes well side by side, asked for by the calling thread."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def load_encoder(source: str | Path, device: str = "cpu") -> PpgEncoder:
    """Load a trained encoder.

    Args:
        source: A checkpoint folder, a run folder (its `best` is taken), `encoder.safetensors`, or
            `default` for the encoder that comes with ppgssl.
        device: `cpu`, `cuda` or `cuda:N`.

    Raises:
        CheckpointError: There is no encoder, or it is damaged.
    """
    encoder, info = read_encoder(encoder_path(source))
    return PpgEncoder(encoder, info, torch.device(device))
