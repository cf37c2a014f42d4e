"""Labels of a recording as label columns of its windows: one value per window, null for none."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ppgssl.data.recordings import LabelTrack
from ppgssl.data.schema import RESERVED_COLUMNS

NEVER_ZERO = ("_bpm", "spo2_pct")  # a monitor writes 0 where it could not measure these
NUMBER_KINDS = "fiub"  # numpy's kinds of float, integer, unsigned and bool

# A span at 0.3 s holds value 3 of a 10 Hz track, though 0.3 * 10 is a little more than 3.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Span:
    """The recorded part of a window.

    Attributes:
        start_s: Seconds from the start of the recording.
        valid_s: Seconds that were recorded; shorter than the window where it is padded.
    """

    start_s: float
    valid_s: float


def label_table(labels: Mapping[str, float | str | LabelTrack], spans: Sequence[Span]) -> pa.Table:
    """One column per label, one row per span.

    A scalar is copied. A track becomes the mean of its finite values within the span, or their mode
    where it is text. In tracks of rates per minute and of oxygen saturation 0 is no value. A label
    that is called like a column of the dataset is prefixed `label_`.
    """
    columns = {
        f"label_{name}" if name in RESERVED_COLUMNS else name: _column(name, label, spans)
        for name, label in labels.items()
    }
    return pa.table(columns)


def _column(name: str, label: float | str | LabelTrack, spans: Sequence[Span]) -> Any:
    if not isinstance(label, LabelTrack):
        kind = pa.string() if isinstance(label, str) else pa.float64()
        return pa.array([label] * len(spans), kind)
    values = np.asarray(label.values)
    if values.dtype.kind in NUMBER_KINDS:
        if name.endswith(NEVER_ZERO):
            values = np.where(values == 0, np.nan, values)
        return pa.array([_mean(_within(values, label.fs_hz, span)) for span in spans], pa.float64())
    return pa.array([_mode(_within(values, label.fs_hz, span)) for span in spans], pa.string())


def _within(values: npt.NDArray[Any], fs_hz: float, span: Span) -> npt.NDArray[Any]:
    """Values whose interval begins within the span; value k holds from k / fs_hz on."""
    first = math.ceil(span.start_s * fs_hz - ROUNDING)
    stop = math.ceil((span.start_s + span.valid_s) * fs_hz - ROUNDING)
    return values[first:stop]


def _mean(values: npt.NDArray[Any]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def _mode(values: npt.NDArray[Any]) -> str | None:
    """The commonest text; among equals the first."""
    counted = Counter(str(value) for value in values if value is not None and value != "")
    return counted.most_common(1)[0][0] if counted else None
