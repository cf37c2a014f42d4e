"""Which windows an encoder takes and what they give, told without its weights. No PyTorch.

Axes used in this file:
    T  samples of a window    R  rows of a window: one, or one per segment
"""

import numpy as np
from jaxtyping import Float

from ppgssl.inference.granularity import Granularity
from ppgssl.inference.settings import SHORTEST_WINDOW_S
from ppgssl.models.encoder_info import EncoderInfo
from ppgssl.signal.quality import find_fault
from ppgssl.signal.resample import resampled_length

LARGEST_SAMPLE = 1e30  # sums over a window stay within float32


class DescribedEncoder:
    """What follows from an encoder's description alone.

    Args:
        info: What its file says of it.
    """

    def __init__(self, info: EncoderInfo) -> None:
        self.info = info

    def find_fault(self, window: Float[np.ndarray, " T"], fs_hz: float | None = None) -> str | None:
        """Why a window cannot be embedded, with what was expected; None where it can."""
        rate_hz = fs_hz or self.info.fs_hz
        seconds = window.shape[-1] / rate_hz
        if seconds < SHORTEST_WINDOW_S:
            return (
                f"too short: {window.shape[-1]} samples at {rate_hz:g} Hz are {seconds:.2f} s, "
                f"at least {SHORTEST_WINDOW_S:g} s are needed"
            )
        fault = find_fault(window, rate_hz)
        if fault == "missing":
            missing = int(np.count_nonzero(~np.isfinite(window)))
            return f"not finite: {missing} of {window.shape[-1]} samples are NaN or infinite"
        if max(window.max(), -window.min()) > LARGEST_SAMPLE:
            return f"too large: samples beyond {LARGEST_SAMPLE:g} leave float32's range; scale them"
        if fault == "flat":
            return "flat: the samples hardly vary, so there is no pulse to embed"
        return None

    def cost(self, num_samples: int, fs_hz: float | None = None) -> int:
        """What a window costs: its samples at the encoder's rate."""
        return resampled_length(num_samples, fs_hz or self.info.fs_hz, self.info.fs_hz)

    def row_starts_s(
        self, num_samples: int, fs_hz: float | None, granularity: Granularity
    ) -> Float[np.ndarray, " R"]:
        """Where in a window of so many samples its rows begin, seconds; a row is there always."""
        size = self.row_samples(granularity)
        whole = max(1, self.cost(num_samples, fs_hz))
        return np.arange(0, whole, size or whole) / self.info.fs_hz

    def row_samples(self, granularity: Granularity) -> int | None:
        """Samples that a row describes, at the encoder's rate; None is the whole window."""
        if granularity == Granularity.WINDOW or self.info.segment_tokens is None:
            return None
        return self.info.segment_tokens * self.info.architecture.stride
