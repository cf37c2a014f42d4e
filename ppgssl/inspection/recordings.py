"""Recordings: how long, how complete, how clean, and how fast the pulse is.

Axes used in this file:
    N  pieces of a recording    T  samples of a piece
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from ppgssl.data.recordings import FoundRecordings, Recording, RecordingRef
from ppgssl.errors import InputError, RecordingError
from ppgssl.inspection.description import Description, Sheet, median
from ppgssl.signal.quality import fill_gaps, find_fault, signal_quality
from ppgssl.signal.rates import heart_rate_bpm

PIECE_S = 10.0
MOST_PIECES = 360  # of a recording: an hour, spread evenly over a longer one
MOST_DRAWN = 6
ROW_INCHES, WIDTH_INCHES = 2.2, 11.0

SIGNAL_COLOUR, QUALITY_COLOUR, PULSE_COLOUR = "#111827", "#0f766e", "#c2410c"


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of a recording, piece by piece; NaN where a piece cannot be used."""

    recording: Recording
    start_s: Float[np.ndarray, " N"]
    quality: Float[np.ndarray, " N"]
    pulse_bpm: Float[np.ndarray, " N"]

    @property
    def usable(self) -> float:
        """Share of the pieces that can be used."""
        return float(np.isfinite(self.quality).mean())


def describe_recordings(
    path: Path, found: FoundRecordings, *, limit: int, on_recording: Callable[[], None]
) -> Description:
    """Read and measure the first `limit` of the recordings that were found."""
    measured: list[Measured] = []
    unreadable: list[tuple[str, str]] = []
    for ref in found.refs[:limit]:
        try:
            measured.append(measure(ref.load()))
        except RecordingError as error:
            unreadable.append((str(ref.path), str(error)))
        on_recording()
    skipped = [(str(file), reason) for file, reason in found.skipped] + unreadable
    facts = {
        "recordings": len(found.refs),
        "measured": len(measured),
        "labels": sorted({name for one in measured for name in one.recording.labels}),
        "hours": sum(_seconds(one.recording) for one in measured) / 3600,
    }
    sheets = [_sheet(found.refs, measured)]
    if skipped:
        sheets.append(Sheet("skipped", ("file", "reason"), skipped[:limit]))
    return Description(
        "recordings", path, facts, tuple(sheets), lambda figure: _draw(figure, measured)
    )


def measure(recording: Recording) -> Measured:
    """Judge a recording ten seconds at a time."""
    fs_hz = recording.fs_hz
    signal = fill_gaps(recording.signal, fs_hz)
    size = min(len(signal), round(PIECE_S * fs_hz))
    pieces = signal[: len(signal) // size * size].reshape(-1, size)
    chosen = np.unique(np.linspace(0, len(pieces) - 1, MOST_PIECES).astype(int))
    pieces = pieces[chosen]
    sound = np.array([find_fault(piece, fs_hz) is None for piece in pieces])
    quality, pulse_bpm = np.full((2, len(pieces)), np.nan)
    if sound.any():
        quality[sound] = signal_quality(pieces[sound], fs_hz)
        pulse_bpm[sound] = heart_rate_bpm(pieces[sound], fs_hz)
    return Measured(recording, chosen * size / fs_hz, quality, pulse_bpm)


def _sheet(refs: Sequence[RecordingRef], measured: Sequence[Measured]) -> Sheet:
    formats = {ref.recording_id: ref.format for ref in refs}
    columns = (
        *("recording", "subject", "format", "fs_hz", "seconds"),
        *("missing", "usable", "quality", "pulse_bpm"),
    )
    rows = [
        (
            one.recording.recording_id,
            one.recording.subject_id,
            formats.get(one.recording.recording_id),
            one.recording.fs_hz,
            _seconds(one.recording),
            float(np.isnan(one.recording.signal).mean()),
            one.usable,
            median(one.quality),
            median(one.pulse_bpm),
        )
        for one in measured
    ]
    return Sheet("recordings", columns, rows)


def _seconds(recording: Recording) -> float:
    return len(recording.signal) / recording.fs_hz


def _draw(figure: Figure, measured: Sequence[Measured]) -> None:
    """A row per recording: its best ten seconds, and how it went on."""
    drawn = [one for one in measured if one.usable > 0][:MOST_DRAWN]
    if not drawn:
        raise InputError("there is no usable recording to draw")
    figure.set_size_inches(WIDTH_INCHES, ROW_INCHES * len(drawn))
    grid = figure.subplots(len(drawn), 2, squeeze=False, width_ratios=(3, 2))
    for (best, course), one in zip(grid, drawn, strict=True):
        start_s = one.start_s[np.nanargmax(one.quality)]
        first = round(start_s * one.recording.fs_hz)
        piece = one.recording.signal[first : first + round(PIECE_S * one.recording.fs_hz)]
        best.plot(start_s + np.arange(len(piece)) / one.recording.fs_hz, piece, color=SIGNAL_COLOUR)
        best.set_title(f"{one.recording.recording_id}: its best ten seconds", fontsize=9)
        best.set_xlabel("seconds", fontsize=8)
        course.plot(one.start_s / 60, one.quality, ".-", color=QUALITY_COLOUR, markersize=3)
        course.set_ylim(0, 1)
        course.set_ylabel("quality", color=QUALITY_COLOUR, fontsize=8)
        course.set_xlabel("minutes", fontsize=8)
        pulse = course.twinx()
        pulse.plot(one.start_s / 60, one.pulse_bpm, ".", color=PULSE_COLOUR, markersize=3)
        pulse.set_ylabel("pulse (bpm)", color=PULSE_COLOUR, fontsize=8)
