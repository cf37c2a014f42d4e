"""EDF, EDF+ and BDF files, the exports of sleep laboratories.

The channel is read in its physical unit; annotations are not read. Of an EDF+ file that names its
patient, the code is the subject and the sex a label. Finding reads the header only.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edfio import read_bdf, read_edf

from ppgssl.data.readers.naming import find_channel
from ppgssl.data.readers.values import as_label, as_signal
from ppgssl.data.recordings import ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError

# The header of the file, then one of each field per channel: edfplus.info/specs/edf.html
FILE_HEADER_BYTES = 256
NUM_RECORDS = slice(236, 244)
NUM_CHANNELS = slice(252, 256)
LABEL_BYTES = 16
BYTES_BEFORE_NUM_SAMPLES = 216
NUM_SAMPLES_BYTES = 8
CHANNEL_HEADER_BYTES = 256

BYTES_PER_SAMPLE = {b"0": 2, b"\xffBIOSEMI": 3}
UNKNOWN = -1  # number of data records while a recording is going on
ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
NOT_SAID = "X"
HEADER_ENCODING = "latin-1"  # the standard says ASCII, and recorders write µV


@dataclass(frozen=True, slots=True)
class Header:
    """What finding needs to know.

    Attributes:
        labels: Of the channels, without those of annotations.
        num_bytes: Length of the whole file; None while it is being recorded.
        is_edf: EDF, as against BDF.
    """

    labels: tuple[str, ...]
    num_bytes: int | None
    is_edf: bool


def find(path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The recording of a file.

    Raises:
        RecordingError: It has no PPG channel, is cut off, or is no EDF or BDF at all.
    """
    header = _read_header(path)
    find_channel(header.labels, options.channel, path)
    size_bytes = path.stat().st_size
    if header.num_bytes is not None and size_bytes < header.num_bytes:
        raise RecordingError(
            f"{path}: the file is cut off; its header says {header.num_bytes} bytes, it has "
            f"{size_bytes}"
        )
    return [RecordingRef(path, "edf", path.stem, size_bytes, options=options)]


def load(ref: RecordingRef) -> Recording:
    """Read the channel.

    Raises:
        RecordingError: There are gaps between the data records (EDF+D).
    """
    is_edf = _read_header(ref.path).is_edf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a file without a number of records has so many
        file: Any = (read_edf if is_edf else read_bdf)(ref.path, header_encoding=HEADER_ENCODING)
    if not file.is_continuous:
        raise RecordingError(
            f"{ref.path}: has gaps between its data records (EDF+D); export it as continuous"
        )
    signal = file.signals[find_channel(file.labels, ref.options.channel, ref.path)]
    subject_id, sex = _patient(file)
    return Recording(
        recording_id=ref.recording_id,
        subject_id=subject_id or ref.recording_id,
        fs_hz=float(signal.sampling_frequency),
        signal=as_signal(signal.data, ref.path),
        labels={} if sex is None else {"sex": sex},
    )


def _read_header(path: Path) -> Header:
    with path.open("rb") as file:
        start = file.read(FILE_HEADER_BYTES)
        sample_bytes = BYTES_PER_SAMPLE.get(start[:8].strip())
        if sample_bytes is None or len(start) < FILE_HEADER_BYTES:
            raise RecordingError(f"{path}: has no header of EDF or BDF")
        num_channels = int(start[NUM_CHANNELS])
        channels = file.read(num_channels * CHANNEL_HEADER_BYTES)
    if len(channels) < num_channels * CHANNEL_HEADER_BYTES:
        raise RecordingError(f"{path}: the file is cut off within its header")
    labels = _fields(channels, 0, num_channels, LABEL_BYTES)
    num_samples = _fields(channels, BYTES_BEFORE_NUM_SAMPLES, num_channels, NUM_SAMPLES_BYTES)
    num_records = int(start[NUM_RECORDS])
    record_bytes = sample_bytes * sum(map(int, num_samples))
    header_bytes = FILE_HEADER_BYTES + num_channels * CHANNEL_HEADER_BYTES
    return Header(
        labels=tuple(label for label in labels if label not in ANNOTATIONS),
        num_bytes=None if num_records == UNKNOWN else header_bytes + num_records * record_bytes,
        is_edf=sample_bytes == BYTES_PER_SAMPLE[b"0"],
    )


def _fields(channels: bytes, bytes_before: int, num_channels: int, width: int) -> list[str]:
    """One field of every channel; a field of all channels comes before the next field."""
    first = bytes_before * num_channels
    return [
        channels[at : at + width].decode(HEADER_ENCODING).strip()
        for at in range(first, first + num_channels * width, width)
    ]


def _patient(file: Any) -> tuple[str | None, str | None]:
    """Code and sex of an EDF+ file; plain EDF has free text there."""
    if not file.reserved.startswith(("EDF+", "BDF+")):
        return None, None
    code, sex = file.patient.code, as_label(file.patient.sex)
    known_sex = sex if isinstance(sex, str) and sex != NOT_SAID else None
    return (None if code == NOT_SAID else code), known_sex
