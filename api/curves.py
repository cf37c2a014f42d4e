"""Signals as curves to draw: seconds and value, thinned so that no peak is lost."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Annotated

import numpy as np
import numpy.typing as npt
from fastapi import Query

from ppgssl.json_values import finite
from ppgssl.signal.thinning import envelope

FromSeconds = Annotated[float, Query(ge=0, description="Where the part begins, seconds.")]
ToSeconds = Annotated[
    float | None, Query(gt=0, description="Where it ends; by default with the window.")
]
MaxPoints = Annotated[
    int, Query(ge=4, le=200_000, description="Thin each curve to this many points, peaks kept.")
]

Curve = list[tuple[float, float | None]]


def part_of(num_samples: int, fs_hz: float, from_s: float, to_s: float | None) -> tuple[int, int]:
    """First sample of a part of a signal, and the one behind its last; None: to the end."""
    start = ceil(min(from_s * fs_hz, num_samples))
    return start, num_samples if to_s is None else floor(min(to_s * fs_hz + 1, num_samples))


def curve(
    x: npt.NDArray[np.float32], start: int, stop: int, fs_hz: float, max_points: int
) -> Curve:
    """Seconds and value of the points that draw samples `start` to `stop` of a signal (T,)."""
    chosen = start + envelope(x[start:stop], max_points)
    seconds: Sequence[float] = (chosen / fs_hz).tolist()
    values: Sequence[float] = x[chosen].astype(np.float64).tolist()
    return [(at, finite(value)) for at, value in zip(seconds, values, strict=True)]
