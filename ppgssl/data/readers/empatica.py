"""Exports of the Empatica E4: a folder or zip file with BVP.csv, its wrist PPG, in it.

    BVP.csv    start (seconds since 1970), rate (Hz), then a sample per row
    HR.csv     the same for the device's own heart rate, which starts some seconds later

The subject is the folder (or zip file): the export itself does not say who it was. HR.csv becomes
the label track `device_hr_bpm`, which is an estimate and no reference. Other sensors are not read.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from ppgssl.data.readers import csv
from ppgssl.data.readers.naming import find_channel
from ppgssl.data.readers.values import as_signal, as_track
from ppgssl.data.recordings import (
    EMPATICA_SIGNAL_NAME,
    LabelTrack,
    ReadOptions,
    Recording,
    RecordingRef,
)
from ppgssl.errors import RecordingError

HEART_RATE_NAME = "HR.csv"
CHANNEL = "BVP"
NUM_HEADER_ROWS = 2
PARTS = frozenset({EMPATICA_SIGNAL_NAME, "tags.csv", "info.txt", *csv.OTHER_EMPATICA_SENSORS})


@dataclass(frozen=True, slots=True)
class Sensor:
    """One file of an export.

    Attributes:
        start_unix_s: When its first value was taken.
        fs_hz: Values per second.
        values: (T,).
    """

    start_unix_s: float
    fs_hz: float
    values: npt.NDArray[np.float64]


def find(path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The export around a BVP.csv, or those in a zip file.

    A BVP.csv that begins otherwise is a table like others.

    Raises:
        RecordingError: There is no BVP.csv in the zip file.
    """
    if path.suffix.lower() == ".zip":
        return _find_zipped(path, options)
    with path.open("rb") as file:
        if not all(_is_number(file.readline()) for _ in range(NUM_HEADER_ROWS)):
            return csv.find(path, options)
    find_channel([CHANNEL], options.channel, path)
    parts = tuple(p for p in sorted(path.parent.iterdir()) if p.name.lower() in PARTS)
    return [
        RecordingRef(
            path=path.parent,
            format="empatica",
            recording_id=path.parent.absolute().name,
            size_bytes=path.stat().st_size,
            record=path.name,
            parts=parts,
            options=options,
        )
    ]


def load(ref: RecordingRef) -> Recording:
    """Read the PPG and the device's heart rate.

    Raises:
        RecordingError: A file is cut off, or a row is no number.
    """
    ppg = _parse(_read(ref, ref.record), f"{ref.path}: {ref.record}")
    labels: dict[str, float | str | LabelTrack] = {}
    heart_rate_name = str(PurePosixPath(ref.record).with_name(HEART_RATE_NAME))
    text = _read(ref, heart_rate_name)
    if text:
        heart_rate = _parse(text, f"{ref.path}: {heart_rate_name}")
        late_s = heart_rate.start_unix_s - ppg.start_unix_s
        labels["device_hr_bpm"] = as_track(heart_rate.values, late_s=late_s, fs_hz=heart_rate.fs_hz)
    return Recording(
        recording_id=ref.recording_id,
        subject_id=_export_name(ref.path, ref.record),
        fs_hz=ppg.fs_hz,
        signal=as_signal(ppg.values, ref.path),
        labels=labels,
    )


def _find_zipped(path: Path, options: ReadOptions) -> list[RecordingRef]:
    with zipfile.ZipFile(path) as archive:
        found = [
            member
            for member in archive.infolist()
            if PurePosixPath(member.filename).name.lower() == EMPATICA_SIGNAL_NAME
        ]
    if not found:
        raise RecordingError(f"{path}: no BVP.csv in it; expected an Empatica export")
    find_channel([CHANNEL], options.channel, path)
    return [
        RecordingRef(
            path=path,
            format="empatica",
            recording_id=_export_name(path, member.filename),
            size_bytes=member.compress_size,
            record=member.filename,
            options=options,
        )
        for member in sorted(found, key=lambda member: member.filename)
    ]


def _export_name(path: Path, record: str) -> str:
    """The folder around BVP.csv, within the zip file where it has one there."""
    within = PurePosixPath(record).parent.name
    return within or (path.stem if path.is_file() else path.absolute().name)


def _read(ref: RecordingRef, name: str) -> bytes:
    """The text of a file of the export; empty where there is none."""
    if ref.path.is_dir():
        path = ref.path / name
        return path.read_bytes() if path.is_file() else b""
    with zipfile.ZipFile(ref.path) as archive:
        return archive.read(name) if name in archive.namelist() else b""


def _parse(text: bytes, where: str) -> Sensor:
    if not text:
        raise RecordingError(f"{where}: the file is empty or gone")
    table = pacsv.read_csv(
        io.BytesIO(text),
        pacsv.ReadOptions(use_threads=False, column_names=["value"]),
        convert_options=pacsv.ConvertOptions(column_types={"value": pa.float64()}),
    )
    values = table["value"].to_numpy()
    if len(values) < NUM_HEADER_ROWS or not 0 < values[1] < np.inf:
        raise RecordingError(f"{where}: expected a row with the start time and one with the rate")
    return Sensor(float(values[0]), float(values[1]), values[NUM_HEADER_ROWS:])


def _is_number(line: bytes) -> bool:
    try:
        float(line)
    except ValueError:
        return False
    return True
