"""Reads the older dataset layout: a metadata Parquet beside `.npy` files. It is never written.

    FOLDER/*.parquet    one file with a column `global_segment_idx`, one row per window
    FOLDER/**/*.npy     the signals: one array (windows, samples) whose row number is the
                        `global_segment_idx`, or one file per window with that number last in its
                        name
    FOLDER/**/*.json    {"<global_segment_idx>": "<path of the denoised .npy>"}, paths relative to
                        the JSON file or to FOLDER

A window without a denoised file uses its original signal, and is counted. Arrays are read with
plain reads, not mapped: mapped pages would count as this process's memory.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.data.batch import WindowBatch
from ppgssl.data.schema import SPLITS, Split, windows_per_group
from ppgssl.data.split import TRAIN_SHARE, VAL_SHARE, split_subjects
from ppgssl.errors import DatasetError

logger = logging.getLogger(__name__)

ID_COLUMN = "global_segment_idx"
SUBJECT_COLUMNS = ("subject_id", "patient_id", "subject", "patient", "case_id", "caseid")
RECORDING_COLUMNS = ("recording_id", "record_id", "record", "recording")
RATE_COLUMNS = ("fs_hz", "fs", "sampling_rate_hz", "sampling_rate")
DEFAULT_FS_HZ = 125.0
SPLIT_SEED = 0


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """A `.npy` file whose rows are read one at a time.

    Attributes:
        path: The file.
        dtype: Of the stored numbers.
        shape: Of the stored array.
        offset: Bytes of its header.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def row_samples(self) -> int:
        """Samples in one row of the first axis."""
        return int(np.prod(self.shape[1:]))

    def read_row(self, row: int) -> npt.NDArray[np.float32]:
        """One row of the first axis, flat."""
        offset = self.offset + row * self.row_samples * self.dtype.itemsize
        flat = np.fromfile(self.path, self.dtype, self.row_samples, offset=offset)
        return flat.astype(np.float32, copy=False)

    def read_all(self) -> npt.NDArray[np.float32]:
        """The whole array, flat."""
        flat = np.fromfile(self.path, self.dtype, offset=self.offset)
        return flat.astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True)
class OlderLayout:
    """An opened folder of the older layout; windows are in the order of the metadata rows.

    Attributes:
        fs_hz: Sampling rate.
        window_samples: Samples in one window.
        metadata: The metadata rows, with `window_id` and `split` added.
        array: The array that holds all signals, or None.
        segments: Otherwise one file per `global_segment_idx`.
        denoised: Denoised file per `global_segment_idx`; those missing are left out.
        warnings: What a user should know about this dataset.
    """

    fs_hz: float
    window_samples: int
    metadata: pa.Table
    array: ArrayFile | None
    segments: Mapping[int, Path]
    denoised: Mapping[int, Path]
    warnings: tuple[str, ...]

    @property
    def window_ids(self) -> npt.NDArray[np.int64]:
        """`global_segment_idx` of every window."""
        return self.metadata.column("window_id").to_numpy()

    @property
    def splits(self) -> npt.NDArray[np.str_]:
        """Split of every window."""
        return np.asarray(self.metadata.column("split").to_pylist(), dtype=np.str_)

    def signal(self, window_id: int) -> npt.NDArray[np.float32]:
        """One window as recorded, (T,).

        Raises:
            DatasetError: Its file is damaged, of another length, or holds NaN or infinity.
        """
        if self.array is not None:
            return self._checked(self.array.path, self.array.read_row(window_id))
        path = self.segments[window_id]
        return self._checked(path, open_array(path).read_all())

    def denoised_signal(self, window_id: int) -> npt.NDArray[np.float32] | None:
        """The same window denoised, (T,), or None where there is no file.

        Raises:
            DatasetError: Its file is damaged, of another length, or holds NaN or infinity.
        """
        path = self.denoised.get(window_id)
        return None if path is None else self._checked(path, open_array(path).read_all())

    def _checked(self, path: Path, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if x.size != self.window_samples:
            raise DatasetError(
                f"{path}: a window has {x.size} samples, the others have {self.window_samples}"
            )
        if not np.isfinite(x).all():
            raise DatasetError(
                f"{path}: a window holds NaN or infinity; remove its row from the metadata, or "
                "prepare the recordings again with `ppgssl prepare`"
            )
        return x


class OlderLayoutWindows:
    """A `WindowSource` over one split of the older layout."""

    def __init__(self, layout: OlderLayout, split: Split) -> None:
        self.window_samples = layout.window_samples
        self._layout = layout
        self._rows = np.flatnonzero(layout.splits == split)
        self._ids = layout.window_ids[self._rows]
        per_group = windows_per_group(layout.window_samples)
        self._starts = list(range(0, len(self._ids), per_group))
        self.rows_per_group = [min(per_group, len(self._ids) - start) for start in self._starts]
        self.largest_group = max(self.rows_per_group, default=0)

    def read(self, group: int, out: WindowBatch) -> None:
        """Read one run of windows into `out`.

        Raises:
            DatasetError: A file is damaged or of another length.
        """
        start = self._starts[group]
        out.window_id[:] = self._ids[start : start + len(out)]
        for row, window_id in enumerate(out.window_id.tolist()):
            out.signal[row] = self._layout.signal(window_id)
            denoised = self._layout.denoised_signal(window_id)
            out.denoised[row] = out.signal[row] if denoised is None else denoised

    def metadata(self) -> pa.Table:
        """One row per window in stored order."""
        return self._layout.metadata.take(self._rows)


def find_metadata(folder: Path) -> Path | None:
    """The metadata Parquet of the older layout; None where the folder has none.

    Raises:
        DatasetError: A Parquet file is damaged, or several have the column.
    """
    found = [path for path in sorted(folder.glob("*.parquet")) if ID_COLUMN in _columns(path)]
    if len(found) > 1:
        raise DatasetError(
            f"{folder}: {len(found)} Parquet files have a column {ID_COLUMN!r} "
            f"({found[0].name}, {found[1].name}, ...); keep one dataset in a folder"
        )
    return found[0] if found else None


def open_older_layout(folder: Path, metadata_path: Path) -> OlderLayout:
    """Open a folder of the older layout.

    Raises:
        DatasetError: Signals are missing, ambiguous or damaged, or a path leads out of the folder.
    """
    metadata = _read_metadata(metadata_path)
    ids: list[int] = metadata.column(ID_COLUMN).to_numpy().tolist()
    denoised = _denoised_files(folder)
    array, segments = _find_signals(folder, ids, set(denoised.values()))
    first = array or open_array(segments[ids[0]])
    window_samples = first.row_samples if array else int(np.prod(first.shape))

    present = {key: path for key, path in denoised.items() if path.is_file()}
    fs_hz, rate_warning = _rate(metadata)
    splits, split_warning = _splits(metadata)
    warnings = [_missing_denoised(ids, present), rate_warning, split_warning]
    for warning in filter(None, warnings):
        logger.warning("%s: %s", folder, warning)
    return OlderLayout(
        fs_hz=fs_hz,
        window_samples=window_samples,
        metadata=_numbered(metadata, splits),
        array=array,
        segments=segments,
        denoised=present,
        warnings=tuple(warning for warning in warnings if warning),
    )


def open_array(path: Path) -> ArrayFile:
    """Read the header of a `.npy` file; its numbers are not read.

    Raises:
        DatasetError: It is no `.npy` file, is truncated, or holds pickled objects or columns first.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, is_fortran, dtype = read(file)
            offset = file.tell()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable .npy file ({error}); restore it") from error
    if dtype.kind not in "fiu":
        raise DatasetError(f"{path}: holds {dtype}, expected numbers; pickled data is not read")
    if is_fortran and len(shape) > 1:
        raise DatasetError(f"{path}: stored column by column; save np.ascontiguousarray(x) instead")
    expected = offset + int(np.prod(shape)) * dtype.itemsize
    size = path.stat().st_size
    if size < expected:
        raise DatasetError(f"{path}: truncated: {size} of {expected} bytes; restore it")
    return ArrayFile(path, dtype, shape, offset)


def _columns(path: Path) -> list[str]:
    try:
        return pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(
            f"{path}: not a readable Parquet file ({error}); it is damaged or truncated: restore it"
        ) from error


def _read_metadata(path: Path) -> pa.Table:
    try:
        metadata = pq.read_table(path, use_threads=False)
        ids = metadata.column(ID_COLUMN).cast(pa.int64())
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); restore it") from error
    if len(ids) == 0:
        raise DatasetError(f"{path}: has no rows")
    if ids.null_count or len(ids.unique()) != len(ids):
        raise DatasetError(f"{path}: {ID_COLUMN!r} must be unique and without nulls")
    return metadata.set_column(metadata.schema.get_field_index(ID_COLUMN), ID_COLUMN, ids)


def _denoised_files(folder: Path) -> dict[int, Path]:
    """Denoised file per window as the JSON index names it; the file may be missing."""
    indexes = {path: index for path in sorted(folder.rglob("*.json")) if (index := _index(path))}
    if len(indexes) > 1:
        named = {path: index for path, index in indexes.items() if "denois" in path.name.lower()}
        indexes = named or indexes
    if len(indexes) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in indexes)
        raise DatasetError(f"{folder}: several JSON indexes ({names}); keep that of the denoised")
    return {
        key: _inside(folder, path.parent, name)
        for path, index in indexes.items()
        for key, name in index.items()
    }


def _index(path: Path) -> dict[int, str]:
    """The mapping of a JSON index; empty where the file is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable JSON file ({error}); restore it") from error
    if not isinstance(content, dict):
        return {}
    entries = cast(dict[str, object], content)
    return {
        int(key): value
        for key, value in entries.items()
        if key.isdecimal() and isinstance(value, str)
    }


def _inside(folder: Path, base: Path, name: str) -> Path:
    """Where a path of the index leads: relative to the index, or else to the folder."""
    candidates = [(start / name).resolve() for start in (base, folder)]
    root = folder.resolve()
    for path in candidates:
        if not path.is_relative_to(root):
            raise DatasetError(
                f"{folder}: the JSON index names {name!r}, which lies outside the dataset; make "
                "its paths relative to the index"
            )
    return next((path for path in candidates if path.is_file()), candidates[0])


def _find_signals(
    folder: Path, ids: Sequence[int], denoised: set[Path]
) -> tuple[ArrayFile | None, dict[int, Path]]:
    files = [
        path
        for path in sorted(folder.rglob("*.npy"))
        if path.resolve() not in denoised and "denois" not in str(path.relative_to(folder)).lower()
    ]
    segments = _by_number(files)
    if all(window_id in segments for window_id in ids):
        return None, {window_id: segments[window_id] for window_id in ids}

    arrays = [array for array in map(open_array, files) if len(array.shape) > 1]
    if len(arrays) == 1:
        return _covering(arrays[0], ids), {}
    if arrays:
        names = ", ".join(str(array.path.relative_to(folder)) for array in arrays)
        raise DatasetError(f"{folder}: several arrays could be the signals: {names}; keep one")
    missing = [window_id for window_id in ids if window_id not in segments]
    raise DatasetError(
        f"{folder}: no signal for {len(missing)} of {len(ids)} windows (first: {missing[0]}); "
        f"expected one .npy array of shape (windows, samples), or a .npy file per window named by "
        f"its {ID_COLUMN}"
    )


def _by_number(files: Iterable[Path]) -> dict[int, Path]:
    """Files by the last number in their names; a number that occurs twice names none."""
    numbered: dict[int, Path] = {}
    ambiguous: set[int] = set()
    for path in files:
        numbers = re.findall(r"\d+", path.stem)
        if numbers:
            number = int(numbers[-1])
            if number in numbered:
                ambiguous.add(number)
            numbered[number] = path
    return {number: path for number, path in numbered.items() if number not in ambiguous}


def _covering(array: ArrayFile, ids: Sequence[int]) -> ArrayFile:
    if max(ids) >= array.shape[0] or min(ids) < 0:
        raise DatasetError(
            f"{array.path}: has {array.shape[0]} rows, but {ID_COLUMN} runs from {min(ids)} to "
            f"{max(ids)}; it must be the row number"
        )
    return array


def _missing_denoised(ids: Sequence[int], present: Mapping[int, Path]) -> str | None:
    num_missing = sum(window_id not in present for window_id in ids)
    if not num_missing:
        return None
    return (
        f"{num_missing} of {len(ids)} windows have no denoised file; their original signal is the "
        "training target"
    )


def _rate(metadata: pa.Table) -> tuple[float, str | None]:
    for name in RATE_COLUMNS:
        if name in metadata.column_names:
            rates = np.unique(metadata.column(name).to_numpy())
            if len(rates) != 1:
                raise DatasetError(f"metadata: {name!r} must be one rate, got {rates.tolist()}")
            return float(rates[0]), None
    return DEFAULT_FS_HZ, f"the metadata names no sampling rate; {DEFAULT_FS_HZ:g} Hz is assumed"


def _splits(metadata: pa.Table) -> tuple[list[Split], str | None]:
    """The split of each row: as the metadata says, else by subject, else by position."""
    if "split" in metadata.column_names:
        return [_split_name(value) for value in metadata.column("split").to_pylist()], None
    for name in (*SUBJECT_COLUMNS, *RECORDING_COLUMNS):
        if name in metadata.column_names:
            subjects = [str(value) for value in metadata.column(name).to_pylist()]
            split_of = split_subjects(subjects, seed=SPLIT_SEED)
            return [split_of[subject] for subject in subjects], None
    return _splits_by_position(metadata), (
        "the metadata names no subject; the first 80 % of the windows are train, the next 10 % "
        "val, so one person may be in two splits"
    )


def _split_name(value: object) -> Split:
    name = "val" if value == "validation" else value
    for split in SPLITS:
        if name == split:
            return split
    raise DatasetError(f"metadata: unknown split {value!r}; expected one of {', '.join(SPLITS)}")


def _splits_by_position(metadata: pa.Table) -> list[Split]:
    """Neighbours come from one recording: cut into three runs, never shuffled."""
    ranks = np.argsort(np.argsort(metadata.column(ID_COLUMN).to_numpy())) / len(metadata)
    return [
        "train" if rank < TRAIN_SHARE else "val" if rank < TRAIN_SHARE + VAL_SHARE else "test"
        for rank in ranks.tolist()
    ]


def _numbered(metadata: pa.Table, splits: Sequence[Split]) -> pa.Table:
    if "split" in metadata.column_names:
        metadata = metadata.drop_columns(["split"])
    metadata = metadata.append_column("split", pa.array(splits, pa.string()))
    return metadata.add_column(0, "window_id", metadata.column(ID_COLUMN))
