"""Reference features without any learning, to hold an encoder's embeddings against.

Axes used in this file:
    N  windows    T  samples    F  frequency bins
"""

import numpy as np
from jaxtyping import Float

BAND_HZ = (0.08, 8.0)  # from slow breathing to the pulse's upper harmonics
BINS = 128


def log_spectrum(windows: Float[np.ndarray, "N T"], fs_hz: float) -> Float[np.ndarray, "N F"]:
    """Log power of standardised windows from 0.08 to 8 Hz, at most 128 bins, evenly averaged.

    A window of T samples resolves 1 / (T / fs_hz) Hz: short ones have fewer bins.
    """
    centred = windows - windows.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred / np.maximum(deviation, 1e-9), axis=1)) ** 2
    frequency = np.fft.rfftfreq(windows.shape[1], 1 / fs_hz)
    inside = power[:, (frequency >= BAND_HZ[0]) & (frequency <= BAND_HZ[1])]
    groups = np.array_split(np.arange(inside.shape[1]), min(BINS, inside.shape[1]))
    pooled = np.stack([inside[:, group].mean(axis=1) for group in groups], axis=1)
    return np.log(pooled + 1e-6).astype(np.float32)
