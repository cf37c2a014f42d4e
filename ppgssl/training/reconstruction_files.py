"""Reconstructions of a few held-out windows in a run's folder, epoch by epoch.

    RUN/reconstructions/
    ├── windows.parquet         which windows, and the input and target of each
    └── epoch-000003.parquet    what the model returned for each of them after that epoch

Every file is there as a whole or not at all, and never changes once it is there: a run that goes
over an epoch again replaces the file. The number of epochs is bounded: as a run goes on, those that
are kept lie further apart.

Axes used in this file:
    N  windows    T  samples
"""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

FOLDER = "reconstructions"
WINDOWS_FILE = "windows.parquet"
EPOCH_FILE = re.compile(r"epoch-(\d{6,})\.parquet")
EPOCHS_KEPT = 32
NAMES = ("window_id", "recording_id", "subject_id", "start_s", "sqi")
"""What is kept of a window beside its signals; the older dataset layout knows less."""
FS_KEY = b"ppgssl.fs_hz"


@dataclass(frozen=True, slots=True)
class ShownWindows:
    """The windows that are reconstructed after every epoch, standardised as the model sees them."""

    described: Sequence[dict[str, Any]]
    inputs: Float[np.ndarray, "N T"]
    targets: Float[np.ndarray, "N T"]
    fs_hz: float


def write_windows(folder: Path, windows: ShownWindows) -> None:
    """Put down the windows of a run, before its first reconstruction.

    Raises:
        OSError: The disk refuses.
    """
    columns = {
        name: pa.array([window[name] for window in windows.described])
        for name in NAMES
        if all(name in window for window in windows.described)
    }
    signals = {"input": _signals(windows.inputs), "target": _signals(windows.targets)}
    metadata = {FS_KEY: repr(windows.fs_hz).encode()}
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / WINDOWS_FILE, pa.table({**columns, **signals}).replace_schema_metadata(metadata)
    )


def write_epoch(folder: Path, epoch: int, outputs: Float[np.ndarray, "N T"]) -> None:
    """Put down what the model returned after an epoch, and drop epochs that are too many.

    Raises:
        OSError: The disk refuses.
    """
    _write(_epoch_file(folder, epoch), pa.table({"output": _signals(outputs)}))
    for dropped in epochs_to_drop(saved_epochs(folder)):
        _epoch_file(folder, dropped).unlink(missing_ok=True)


def saved_epochs(folder: Path) -> list[int]:
    """Epochs whose reconstructions are there, ascending; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = (EPOCH_FILE.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def epochs_to_drop(epochs: Sequence[int]) -> set[int]:
    """Which of these ascending epochs are too many.

    The first and the newest stay, and between them every second, fourth, eighth ... epoch.
    """
    apart = 1
    while len(kept := {e for e in epochs if (e - 1) % apart == 0} | {*epochs[-1:]}) > EPOCHS_KEPT:
        apart *= 2
    return set(epochs) - kept


def read_windows(folder: Path) -> ShownWindows:
    """The windows of a run.

    Raises:
        FileNotFoundError: There are none (yet).
    """
    table = pq.read_table(folder / WINDOWS_FILE)
    inputs, targets = _matrix(table, "input"), _matrix(table, "target")
    described = table.drop_columns(["input", "target"]).to_pylist()
    return ShownWindows(described, inputs, targets, float(table.schema.metadata[FS_KEY]))


def read_epoch(folder: Path, epoch: int) -> Float[np.ndarray, "N T"]:
    """What the model returned after an epoch, in the order of the windows.

    Raises:
        FileNotFoundError: That epoch is not kept, or not over yet.
    """
    return _matrix(pq.read_table(_epoch_file(folder, epoch)), "output")


def take_over(earlier: Iterable[Path], folder: Path) -> None:
    """Give a run that goes on what an earlier one put down: the last of these folders that exists.

    Files are linked: a run that was frozen and wakes replaces its own, never those of the new one.

    Args:
        earlier: Folders of reconstructions, or where such would be, in order of time.
        folder: Of the new run; made where there is anything to take over.

    Raises:
        OSError: The disk refuses.
    """
    found = [path for path in earlier if (path / WINDOWS_FILE).is_file()]
    if not found:
        return
    folder.mkdir()
    _link(found[-1], folder, [WINDOWS_FILE])
    _link(found[-1], folder, [_epoch_file(folder, epoch).name for epoch in saved_epochs(found[-1])])


def _link(source: Path, folder: Path, names: Collection[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):  # its run is still alive and drops epochs
            os.link(source / name, folder / name)


def _epoch_file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:06d}.parquet"


def _write(path: Path, table: pa.Table) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, fresh, compression="zstd", use_dictionary=False)
    fresh.replace(path)


def _signals(x: Float[np.ndarray, "N T"]) -> Any:
    flat = pa.array(np.ascontiguousarray(x, dtype=np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, x.shape[1])


def _matrix(table: pa.Table, name: str) -> Float[np.ndarray, "N T"]:
    column: Any = table[name].combine_chunks()
    return column.flatten().to_numpy().reshape(len(table), -1)
