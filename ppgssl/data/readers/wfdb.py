"""WFDB records, as PhysioNet publishes them: a header (.hea) beside signal files (.dat, .mat).

A record may consist of segments with headers of their own; where one lacks the channel, or a gap
lies between two, samples are missing. Of several samples per frame all are kept. Annotation files
are not read, and nothing is ever fetched from the network.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import wfdb

from ppgssl.data.readers.naming import find_channel
from ppgssl.data.readers.values import as_label, as_signal
from ppgssl.data.recordings import LabelTrack, ReadOptions, Recording, RecordingRef
from ppgssl.errors import RecordingError

GAP_NAME = "~"

# "<age>: 69  <sex>: M", "# Age: 69"
COMMENTED = re.compile(r"<?\b(age|sex|gender|patient|subject)\b>?\s*:\s*(\S+)", re.IGNORECASE)
ALIASES = {"gender": "sex", "patient": "subject"}

# MIMIC's matched waveforms: p000020-2183-04-28-17-47 is patient p000020.
MATCHED_NAME = re.compile(r"([ps]\d+)-\d{4}-\d{2}-\d{2}-\d{2}-\d{2}n?")


def find(path: Path, options: ReadOptions) -> list[RecordingRef]:
    """The record of a header.

    Raises:
        RecordingError: It has no PPG channel, or a signal file is not there.
    """
    header = _read_header(path)
    find_channel(_channels(header), options.channel, path)
    parts = _parts(path, header)
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise RecordingError(f"{path}: {', '.join(missing)} belongs to it and is not beside it")
    size_bytes = sum(part.stat().st_size for part in (path, *parts))
    return [RecordingRef(path, "wfdb", path.stem, size_bytes, parts=parts, options=options)]


def load(ref: RecordingRef) -> Recording:
    """Read the channel in its physical unit.

    Raises:
        RecordingError: The segments are of different rates.
    """
    header = _read_header(ref.path)
    names = _channels(header)
    channel = names[find_channel(names, ref.options.channel, ref.path)]
    if _has_segments(header):
        signal, per_frame = _read_segments(ref.path, header, channel)
    else:
        signal, per_frame = _read_channel(ref.path, names.index(channel))
    labels = _labels(header.comments)
    subject_id = labels.pop("subject", None) or _patient(ref.path)
    return Recording(
        recording_id=ref.recording_id,
        subject_id=ref.recording_id if subject_id is None else str(subject_id),
        fs_hz=float(header.fs) * per_frame,
        signal=as_signal(signal, ref.path),
        labels=dict[str, float | str | LabelTrack](labels),
    )


def _read_header(path: Path) -> Any:
    return wfdb.rdheader(str(path.with_suffix("")), rd_segments=True)


def _channels(header: Any) -> list[str]:
    return list(header.get_sig_name() if _has_segments(header) else header.sig_name)


def _has_segments(header: Any) -> bool:
    return isinstance(header, wfdb.MultiRecord)


def _parts(path: Path, header: Any) -> tuple[Path, ...]:
    """Signal files, and headers of segments, each once."""
    names: list[str] = []
    if _has_segments(header):
        segments = zip(header.seg_name, header.segments, strict=True)
        for name, segment in segments:
            if segment is not None:
                names += [f"{name}.hea", *(segment.file_name or ())]
    else:
        names += header.file_name or ()
    return tuple(path.with_name(name) for name in dict.fromkeys(names) if name != GAP_NAME)


def _read_channel(path: Path, position: int) -> tuple[npt.NDArray[np.float64], int]:
    """Samples of one channel, and how many of them are in a frame."""
    record: Any = wfdb.rdrecord(
        str(path.with_suffix("")), channels=[position], smooth_frames=False, return_res=64
    )
    return record.e_p_signal[0], int(record.samps_per_frame[0])


def _read_segments(path: Path, header: Any, channel: str) -> tuple[npt.NDArray[np.float64], int]:
    """The segments one after the other; lengths of gaps are in frames."""
    pieces: list[tuple[int, npt.NDArray[np.float64] | None]] = []
    rates: set[int] = set()
    for name, num_frames, segment in zip(
        header.seg_name, header.seg_len, header.segments, strict=True
    ):
        if segment is None or not num_frames or channel not in (segment.sig_name or ()):
            pieces.append((num_frames, None))
            continue
        position = segment.sig_name.index(channel)
        signal, per_frame = _read_channel(path.with_name(f"{name}.hea"), position)
        rates.add(per_frame)
        pieces.append((num_frames, signal))
    if len(rates) != 1:
        raise RecordingError(
            f"{path}: expected segments of one rate with {channel}, got {len(rates)} rates"
        )
    (per_frame,) = rates
    return _join(pieces, per_frame), per_frame


def _join(
    pieces: Iterable[tuple[int, npt.NDArray[np.float64] | None]], per_frame: int
) -> npt.NDArray[np.float64]:
    return np.concatenate(
        [
            np.full(num_frames * per_frame, np.nan) if signal is None else signal
            for num_frames, signal in pieces
        ]
    )


def _labels(comments: Sequence[str]) -> dict[str, float | str]:
    """Age and sex, and the subject where the header names it."""
    labels: dict[str, float | str] = {}
    for key, text in COMMENTED.findall(" ".join(comments)):
        label = as_label(text)
        if label is not None:
            name = str(key).lower()
            labels[ALIASES.get(name, name)] = label
    return labels


def _patient(path: Path) -> str | None:
    matched = MATCHED_NAME.fullmatch(path.stem)
    return matched.group(1) if matched else None
