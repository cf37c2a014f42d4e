"""One recording to windows: fill, choose, resample, denoise, cut, score.

The amplitude is left as recorded: windows are in the recording's own unit, and nothing is
normalised. Memory is bounded by the recording, not by its windows: beside the recording two float32
copies at the windows' rate, one block of filtering and one row group (measured for a day at 250 Hz:
180 MB beside its own 86 MB).

Axes:
    T  samples in one window
    R  samples of the recording
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ppgssl.data.labels import Span, label_table
from ppgssl.data.recordings import Recording
from ppgssl.data.schema import windows_per_group, windows_table
from ppgssl.errors import ConfigError
from ppgssl.signal.denoise import denoise
from ppgssl.signal.quality import fill_gaps, find_fault, signal_quality
from ppgssl.signal.resample import resample

# Recordings of up to an hour are filtered whole; longer ones in blocks that overlap by more than
# the filters remember (0.5 Hz: a few seconds).
BLOCK_S = 3600.0
MARGIN_S = 30.0

# Shorter recordings give no window; others are padded.
SMALLEST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """How recordings become windows.

    Attributes:
        window_seconds: Length of a window.
        hop_seconds: From the start of one window to the next; None is `window_seconds`.
        fs_hz: Sampling rate of the windows.
        max_gap_seconds: Missing samples are interpolated over at most this long.
        wavelet: Of the denoised signal.
        wavelet_level: Its decomposition depth.
        band_hz: Pass band of the denoised signal.
        seed: Of the split by subject.
    """

    window_seconds: float = 600.0
    hop_seconds: float | None = None
    fs_hz: float = 125.0
    max_gap_seconds: float = 0.5
    wavelet: str = "db4"
    wavelet_level: int = 5
    band_hz: tuple[float, float] = (0.5, 8.0)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("window_seconds", "hop_seconds", "fs_hz"):
            value: float | None = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be a positive number, got {value:g}")
        if self.fs_hz <= 2 * self.band_hz[1]:
            raise ConfigError(
                f"fs_hz must be above {2 * self.band_hz[1]:g} Hz, twice the highest frequency that "
                f"denoising keeps, got {self.fs_hz:g}"
            )
        if self.window_samples < 2 or self.hop_samples < 1:
            raise ConfigError(
                f"window_seconds ({self.window_seconds:g}) and hop_seconds must be longer than a "
                f"sample at {self.fs_hz:g} Hz"
            )

    @property
    def window_samples(self) -> int:
        """Samples in one window."""
        return round(self.window_seconds * self.fs_hz)

    @property
    def hop_samples(self) -> int:
        """Samples from the start of one window to the next."""
        hop_seconds = self.window_seconds if self.hop_seconds is None else self.hop_seconds
        return round(hop_seconds * self.fs_hz)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which windows of a recording are kept.

    Attributes:
        spans: Those kept, in order.
        rejected: Number of the others by reason.
    """

    spans: tuple[Span, ...]
    rejected: dict[str, int]

    def num_padded(self, settings: PrepareSettings) -> int:
        """Windows of which a part was not recorded."""
        return sum(
            round(span.valid_s * settings.fs_hz) < settings.window_samples for span in self.spans
        )


def fill_short_gaps(recording: Recording, settings: PrepareSettings) -> npt.NDArray[np.float32]:
    """The signal at its own rate, interpolated over short gaps; long ones stay NaN."""
    return fill_gaps(recording.signal, recording.fs_hz, settings.max_gap_seconds).astype(
        np.float32, copy=False
    )


def choose_windows(
    filled: npt.NDArray[np.float32], fs_hz: float, settings: PrepareSettings
) -> Choice:
    """Cut the recording's time into windows and judge each at the recording's own rate.

    (Resampling would ripple the plateaus by which saturation is known.) What is left over at the
    end of a recording is dropped; a recording shorter than one window gives one padded window when
    it is at least half as long.

    Args:
        filled: (R,) NaN where missing.
        fs_hz: Its sampling rate.
        settings: Window length, hop and rate.
    """
    spans: list[Span] = []
    rejected: Counter[str] = Counter()
    candidates = _candidates(len(filled) / fs_hz, settings)
    if not candidates:
        return Choice((), {"too_short": 1})
    for span in candidates:
        first, stop = round(span.start_s * fs_hz), round((span.start_s + span.valid_s) * fs_hz)
        fault = find_fault(filled[first:stop], fs_hz)
        if fault is None:
            spans.append(span)
        else:
            rejected[fault] += 1
    return Choice(tuple(spans), dict(rejected))


def cut_windows(
    recording: Recording,
    filled: npt.NDArray[np.float32],
    choice: Choice,
    settings: PrepareSettings,
) -> Iterator[pa.Table]:
    """The chosen windows as rows of `windows_table`, a row group at a time."""
    signal, denoised = _clean(filled, recording.fs_hz, settings)
    labels = label_table(recording.labels, choice.spans)
    per_group = windows_per_group(settings.window_samples)
    for first in range(0, len(choice.spans), per_group):
        spans = choice.spans[first : first + per_group]
        windows = _stack(signal, spans, settings, pad_with_mean=True)
        yield windows_table(
            signal=windows,
            denoised=_stack(denoised, spans, settings, pad_with_mean=False),
            recording_ids=[recording.recording_id] * len(spans),
            subject_ids=[recording.subject_id] * len(spans),
            start_s=[span.start_s for span in spans],
            valid_s=[span.valid_s for span in spans],
            sqi=_quality(windows, spans, settings.fs_hz),
            labels=labels.slice(first, len(spans)) if labels.num_columns else None,
        )


def _candidates(recorded_s: float, settings: PrepareSettings) -> list[Span]:
    num_samples = round(recorded_s * settings.fs_hz)
    window_samples, fs_hz = settings.window_samples, settings.fs_hz
    if num_samples >= window_samples:
        starts = range(0, num_samples - window_samples + 1, settings.hop_samples)
        return [Span(start / fs_hz, window_samples / fs_hz) for start in starts]
    if num_samples >= SMALLEST_SHARE * window_samples:
        return [Span(0.0, num_samples / fs_hz)]
    return []


def _clean(
    filled: npt.NDArray[np.float32], fs_hz: float, settings: PrepareSettings
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The whole recording resampled, and denoised.

    Long gaps are interpolated, so that the filters have something to run over: no window that is
    kept touches them.
    """
    recorded_s = len(filled) / fs_hz
    num_samples = round(recorded_s * settings.fs_hz)
    signal, denoised = np.zeros((2, num_samples), np.float32)
    for start_s in np.arange(0.0, recorded_s, BLOCK_S).tolist():
        from_s, to_s = max(0.0, start_s - MARGIN_S), start_s + BLOCK_S + MARGIN_S
        block = _interpolated(filled[round(from_s * fs_hz) : round(to_s * fs_hz)])
        resampled = resample(block, fs_hz, settings.fs_hz)
        smooth = denoise(
            resampled,
            settings.fs_hz,
            wavelet=settings.wavelet,
            level=settings.wavelet_level,
            band_hz=settings.band_hz,
        )
        first = round(start_s * settings.fs_hz)
        room = slice(first, first + round(BLOCK_S * settings.fs_hz))
        skipped = first - round(from_s * settings.fs_hz)
        for target, source in ((signal[room], resampled), (denoised[room], smooth)):
            part = source[skipped : skipped + len(target)]
            target[: len(part)] = part
            target[len(part) :] = part[-1]  # rounding may leave the last sample open
    return signal, denoised


def _interpolated(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    is_missing = np.isnan(x)
    if not is_missing.any():
        return x
    if is_missing.all():
        return np.zeros_like(x)
    at = np.arange(len(x))
    return np.interp(at, at[~is_missing], x[~is_missing]).astype(np.float32)


def _stack(
    x: npt.NDArray[np.float32],
    spans: Sequence[Span],
    settings: PrepareSettings,
    *,
    pad_with_mean: bool,
) -> npt.NDArray[np.float32]:
    """Windows side by side, (N, T)."""
    windows = np.zeros((len(spans), settings.window_samples), np.float32)
    for window, span in zip(windows, spans, strict=True):
        first = round(span.start_s * settings.fs_hz)
        part = x[first : first + round(span.valid_s * settings.fs_hz)]
        window[: len(part)] = part
        if pad_with_mean:
            window[len(part) :] = part.mean(dtype=np.float64)
    return windows


def _quality(
    windows: npt.NDArray[np.float32], spans: Sequence[Span], fs_hz: float
) -> npt.NDArray[np.float32]:
    """SQI of the recorded part. Only a window that is alone in its recording is padded."""
    num_recorded = round(spans[0].valid_s * fs_hz)
    return np.asarray(signal_quality(windows[:, :num_recorded], fs_hz), np.float32)
