"""The windows that everything is timed on: simulated pulses, the same in every run."""

import numpy as np
import numpy.typing as npt

FS_HZ = 125.0
SHORT, LONG = 1_250, 75_000
"""Samples of ten seconds and of ten minutes."""


def windows(count: int, samples: int) -> npt.NDArray[np.float32]:
    """Pulses of different rates with some noise, (windows, samples)."""
    rng = np.random.default_rng(0)
    rates_hz = rng.uniform(0.8, 2.0, (count, 1))
    angle = 2 * np.pi * rates_hz * np.arange(samples) / FS_HZ
    noise = 0.1 * rng.standard_normal((count, samples))
    return (np.sin(angle) + 0.4 * np.sin(2 * angle + 1) + noise).astype(np.float32)
