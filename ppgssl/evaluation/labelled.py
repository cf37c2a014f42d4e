"""Labelled windows for an evaluation, from whatever the user has.

Everything here fits in memory: evaluation sets are small beside training sets.

Axes used in this file:
    N  windows    T  samples    M  chosen windows
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.manifest import MANIFEST_NAME
from ppgssl.data.prepare import PrepareSettings, prepare
from ppgssl.data.recordings import find_recordings
from ppgssl.data.schema import RESERVED_COLUMNS, SPLITS

QUALITY = "sqi"


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Windows side by side with their subjects and labels.

    Attributes:
        signal: (N, T) as recorded, in any unit.
        fs_hz: Their rate.
        subjects: (N,) subject ids.
        labels: Label name to (N,) values; numbers with NaN, or text with "" where there is none.
            `sqi` is the signal quality that preparation measured.
        name: What the windows are called in a report.
    """

    signal: Float[np.ndarray, "N T"]
    fs_hz: float
    subjects: np.ndarray
    labels: dict[str, np.ndarray]
    name: str = "windows"

    def take(self, rows: Int[np.ndarray, " M"]) -> "LabelledWindows":
        """Some of the windows."""
        return replace(
            self,
            signal=self.signal[rows],
            subjects=self.subjects[rows],
            labels={name: values[rows] for name, values in self.labels.items()},
        )


def read_labelled(
    path: Path, *, window_s: float, hop_s: float | None = None, fs_hz: float, scratch: Path
) -> LabelledWindows:
    """Read a dataset folder, or cut recordings into windows as `ppgssl prepare` does.

    Args:
        path: A dataset folder, or recordings (a file or folder) with labels.
        window_s: Length of the windows that recordings are cut into, seconds.
        hop_s: From the start of one window to the next, seconds; None is `window_s`.
        fs_hz: Rate that recordings are resampled to, Hz.
        scratch: An empty folder for the prepared recordings.

    Raises:
        DatasetError: The dataset is damaged, or recordings give no window.
        RecordingError: There are no recordings.
    """
    if (path / MANIFEST_NAME).is_file():
        return collect(open_dataset(path))
    found = find_recordings([path])
    settings = PrepareSettings(window_seconds=window_s, hop_seconds=hop_s, fs_hz=fs_hz)
    prepare(found.refs, scratch, settings, workers=1, progress=lambda _: None)
    return replace(collect(open_dataset(scratch)), name=path.name)


def collect(dataset: Dataset) -> LabelledWindows:
    """All windows of a dataset, whatever their split, with its labels and their signal quality."""
    splits = [dataset.split(name) for name in SPLITS]
    signals = [batch.signal for windows in splits for batch in windows.batches(256, seed=None)]
    metadata = pa.concat_tables([windows.metadata() for windows in splits])
    names = [name for name in metadata.column_names if name not in RESERVED_COLUMNS]
    names += [QUALITY] if QUALITY in metadata.column_names else []
    return LabelledWindows(
        signal=np.concatenate(signals),
        fs_hz=dataset.fs_hz,
        subjects=np.asarray(metadata["subject_id"].to_pylist()),
        labels={name: _values(metadata, name) for name in names},
        name=dataset.name,
    )


def _values(metadata: pa.Table, name: str) -> np.ndarray:
    column = metadata[name]
    if pa.types.is_string(column.type):
        return np.asarray([value or "" for value in column.to_pylist()])
    return column.to_numpy().astype(np.float64)
