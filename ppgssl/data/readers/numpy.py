"""NumPy arrays: one recording (samples), or windows side by side (windows, samples).

An axis of one channel, as in (samples, 1) or (windows, 1, samples), is passed over.

A row of a two-dimensional array is a window as it stands, however long it is. In an NPZ file the
signal may have company: `fs_hz`, `subject_id`, and labels, each a single value, one per window, or
one per second of a recording. Windows of one file are taken for one subject where it names none,
so that none of a person's windows is held out while others are trained on.

Pickled arrays are refused: reading them could run any code.
"""

import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ppgssl.data.readers.naming import (
    HOW_TO_GIVE_RATE,
    RATE_NAMES,
    SUBJECT_NAMES,
    find_channel,
    find_column,
)
from ppgssl.data.readers.values import as_label, as_signal, as_track_per_second
from ppgssl.data.recordings import LabelTrack, ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError

MEMBER_SUFFIX = ".npy"

# Shorter rows are those of an array that lies on its side: (samples, channels).
SHORTEST_WINDOW = 16

Shape = tuple[int, ...]


def find(path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The recording of an array, or one per row. Reads the arrays' headers only.

    Raises:
        RecordingError: The array is pickled, cut off, of another shape, or its rate is not known.
    """
    arrays = _read_headers(path)
    name = _signal_name(arrays, options.channel, path)
    shape, dtype = arrays[name]
    if dtype.hasobject:
        raise RecordingError(
            f"{path}: holds pickled Python objects, which are never read; save plain numbers"
        )
    if _has_single_channel(shape):
        shape = (shape[0], *shape[2:])
    is_stack = len(shape) == 2
    if len(shape) not in (1, 2) or 0 in shape or (is_stack and shape[1] < SHORTEST_WINDOW):
        raise RecordingError(
            f"{path}: expected an array (samples,) or (windows, samples), got shape "
            f"{arrays[name][0]}"
        )
    if find_column(arrays, RATE_NAMES) is None and _given_rate(options, is_stack) is None:
        raise RecordingError(f"{path}: an array does not say its rate; {HOW_TO_GIVE_RATE}")
    return list(_refs(path, name, shape, options))


def load(ref: RecordingRef) -> Recording:
    """Read the array, or one row of it.

    Raises:
        RecordingError: The values are no real numbers, or the rate is none.
    """
    beside = _read_beside(ref)
    signal = as_signal(_read_signal(ref), ref.path)
    rate_name = find_column(beside, RATE_NAMES)
    rate: Any = (
        _given_rate(ref.options, ref.is_window) if rate_name is None else beside.pop(rate_name)
    )
    if not isinstance(rate, int | float) or not 0 < rate < np.inf:
        raise RecordingError(f"{ref.path}: the sampling rate is {rate}; expected a number of Hz")
    fs_hz = float(rate)
    subject_name = find_column(beside, SUBJECT_NAMES)
    subject_id = None if subject_name is None else beside.pop(subject_name)
    return Recording(
        recording_id=ref.recording_id,
        subject_id=_array_id(ref) if subject_id is None else str(subject_id),
        fs_hz=fs_hz,
        signal=signal,
        labels=dict(_labels(beside, len(signal) / fs_hz)),
    )


def _refs(path: Path, name: str, shape: Shape, options: ReadOptions) -> Iterator[RecordingRef]:
    size_bytes = path.stat().st_size
    if len(shape) == 1:
        yield RecordingRef(path, "numpy", path.stem, size_bytes, name, options=options)
        return
    for row in range(shape[0]):
        yield RecordingRef(
            path=path,
            format="numpy",
            recording_id=f"{path.stem}[{row}]",
            size_bytes=size_bytes // shape[0],
            record=name,
            row=row,
            is_window=True,
            options=options,
        )


def _has_single_channel(shape: Shape) -> bool:
    """(samples, 1) or (windows, 1, samples)."""
    return len(shape) in (2, 3) and shape[1] == 1


def _array_id(ref: RecordingRef) -> str:
    return ref.recording_id.removesuffix(f"[{ref.row}]")


def _given_rate(options: ReadOptions, is_window: bool) -> float | None:
    if is_window and options.window_fs_hz is not None:
        return options.window_fs_hz
    return options.fs_hz


def _signal_name(
    arrays: Mapping[str, tuple[Shape, np.dtype[Any]]], wanted: str | None, path: Path
) -> str:
    names = [name for name, (shape, _) in arrays.items() if shape] or list(arrays)
    if len(names) == 1 and wanted is None:
        return names[0]
    return names[find_channel(names, wanted, path)]


def _read_headers(path: Path) -> dict[str, tuple[Shape, np.dtype[Any]]]:
    """Shape and type of each array; that of an NPY file is called "signal"."""
    if path.suffix.lower() == MEMBER_SUFFIX:
        with path.open("rb") as file:
            shape, dtype = _read_header(file)
            missing = file.tell() + prod(shape) * dtype.itemsize - path.stat().st_size
        if missing > 0 and not dtype.hasobject:
            raise RecordingError(f"{path}: the file is cut off; its last {missing} bytes are gone")
        return {"signal": (shape, dtype)}
    headers: dict[str, tuple[Shape, np.dtype[Any]]] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                headers[member.removesuffix(MEMBER_SUFFIX)] = _read_header(file)
    return headers


def _read_header(file: IO[bytes]) -> tuple[Shape, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype


def _read_signal(ref: RecordingRef) -> npt.NDArray[Any]:
    if ref.path.suffix.lower() == MEMBER_SUFFIX:
        array = np.load(ref.path, mmap_mode="r", allow_pickle=False)
    else:
        array = _read_member(ref.path, ref.path.stat().st_mtime_ns, ref.record)
    if _has_single_channel(array.shape):
        array = np.squeeze(array, axis=1)
    return array if ref.row is None else array[ref.row]


@lru_cache(maxsize=1)
def _read_member(path: Path, mtime_ns: int, name: str) -> npt.NDArray[Any]:
    """The last array is kept: its rows are read one by one, and it is unpacked as a whole."""
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[name]


def _read_beside(ref: RecordingRef) -> dict[str, Any]:
    """The other arrays: single values as such, of arrays with one value per window that value."""
    if ref.path.suffix.lower() == MEMBER_SUFFIX:
        return {}
    headers = _read_headers(ref.path)
    num_rows = headers[ref.record][0][0]
    beside: dict[str, Any] = {}
    with np.load(ref.path, allow_pickle=False) as arrays:
        for name, (shape, dtype) in headers.items():
            if name == ref.record or dtype.hasobject:
                continue
            if shape in ((), (1,)):
                beside[name] = arrays[name].item()
            elif ref.row is None and len(shape) == 1:
                beside[name] = arrays[name]
            elif shape == (num_rows,):
                beside[name] = arrays[name][ref.row].item()
    return beside


def _labels(
    beside: Mapping[str, Any], recorded_s: float
) -> Iterator[tuple[str, float | str | LabelTrack]]:
    for name, value in beside.items():
        if isinstance(value, np.ndarray):
            track = as_track_per_second(name, value, recorded_s)
            if track is not None:
                yield name, track
        else:
            label = as_label(value)
            if label is not None:
                yield name, label
