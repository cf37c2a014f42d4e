"""Times of samples to a sampling rate: evenly spaced, or an error that says where they are not."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ppgssl.data.readers.naming import plain
from ppgssl.errors import RecordingError

SECONDS_PER_UNIT = {
    "s": 1.0,
    "sec": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "milliseconds": 1e-3,
    "millis": 1e-3,
    "us": 1e-6,
    "microseconds": 1e-6,
    "ns": 1e-9,
    "nanoseconds": 1e-9,
}
# Seconds since 1970 stay below 1e11 for another 3,000 years: larger numbers have smaller units.
SMALLEST_EPOCH = {1e17: 1e-9, 1e14: 1e-6, 1e11: 1e-3}

TIME_WORDS = frozenset(
    {
        "time",
        "timestamp",
        "timestamps",
        "times",
        "datetime",
        "date",
        "seconds",
        "sec",
        "s",
        "ms",
        "t",
        "ts",
        "timer",
        "elapsed",
        "unix",
    }
)
CAMEL_BORDER = re.compile(r"(?<=[a-z]{2})(?=[A-Z])")

# 12:00:00.008 with a date before or after it, and 0:00.008, as PhysioNet writes elapsed time.
CLOCK = r"(?:(?P<h>\d+):)?(?P<m>\d+):(?P<s>\d+(?:[.,:]\d+)?)"
HALF_DAY_S = 43_200  # after which clocks begin anew, with or without AM and PM

# The slowest wearables sample PPG at 20 Hz or so; numbers below this are of another unit.
LOWEST_FS_HZ = 5.0
HIGHEST_FS_HZ = 1000.0  # that an unnamed unit is inferred from: times 1 apart may count samples


def is_time(name: str) -> bool:
    """Whether a column holds the samples' times, by its name."""
    words = _words(name)
    return bool(words) and (words[0] in TIME_WORDS or words[-1] in {"time", "timestamp"})


def rate_of_times(times: npt.NDArray[Any], name: str, where: object) -> float:
    """The sampling rate of evenly spaced times.

    Times may be rounded, and each may be off by up to a sample; a whole number of Hz is taken where
    it puts the last sample within half a sample of its time.

    Args:
        times: (T,) numbers, in seconds unless `name`, their size or their spacing says otherwise;
            or datetime64 or timedelta64.
        name: The column's name, "Time [ms]" for example.
        where: The file, for the error.

    Raises:
        RecordingError: A time is missing, they are not evenly spaced, or in another unit.
    """
    if len(times) < 2:
        raise RecordingError(f"{where}: {len(times)} samples are too few to tell their rate")
    seconds = _seconds(times, name)
    if not np.isfinite(seconds).all():
        row = int(np.flatnonzero(~np.isfinite(seconds))[0])
        raise RecordingError(f"{where}: the time of sample {row} is missing")

    at = np.arange(len(seconds)) - (len(seconds) - 1) / 2
    step_s = float(at @ seconds / (at @ at))  # of the straight line through all times
    if step_s <= 0:
        raise RecordingError(f"{where}: the times in {name!r} do not increase")
    if step_s > 1 / LOWEST_FS_HZ:
        raise RecordingError(
            f"{where}: the times in {name!r} are {step_s:g} s apart, which is no PPG; if their "
            f"unit is not seconds, name it in the header, as in {name.strip() or 'time'}_ms"
        )
    _check_even(seconds, at, step_s, where)
    whole_hz = round(1 / step_s)
    is_whole = abs(step_s * whole_hz - 1) * len(seconds) < 0.5
    return float(whole_hz) if is_whole else 1 / step_s


def times_of_clock(texts: "pa.ChunkedArray[Any]") -> npt.NDArray[np.timedelta64]:
    """The times of day, or elapsed, in texts; NaT where there is none.

    Dates are passed over, so that they may be written in any way: a clock that begins anew after
    noon or midnight goes on.
    """
    parts: Any = pc.extract_regex(texts.cast(pa.string()), CLOCK)
    hours, minutes, seconds = (pc.struct_field(parts, [name]) for name in "hms")
    hours = pc.replace_substring_regex(hours, "^$", "0")
    seconds = pc.replace_substring_regex(seconds, "[,:]", ".")
    clock_s = sum(
        unit_s * part.cast(pa.float64()).to_numpy()
        for unit_s, part in ((3600, hours), (60, minutes), (1, seconds))
    )
    steady_s = np.unwrap(np.asarray(clock_s), period=HALF_DAY_S)
    return np.round(steady_s * 1e9).astype("timedelta64[ns]")


def _words(name: str) -> list[str]:
    """`timestampMs` is two words, as `timestamp_ms` is."""
    return plain(CAMEL_BORDER.sub(" ", name)).split()


def _seconds(times: npt.NDArray[Any], name: str) -> npt.NDArray[np.float64]:
    """Seconds from the first sample on."""
    if times.dtype.kind in "mM":
        elapsed = times - times[:1]
        is_missing = np.isnat(elapsed)
        return np.where(is_missing, np.nan, elapsed / np.timedelta64(1, "ns") * 1e-9)
    numbers = times.astype(np.float64)
    return (numbers - numbers[:1]) * _unit(name, numbers)


def _unit(name: str, numbers: npt.NDArray[np.float64]) -> float:
    """By the name, else by size where they count from 1970, else by what is possible for a PPG."""
    named = [SECONDS_PER_UNIT[word] for word in _words(name) if word in SECONDS_PER_UNIT]
    by_size = [unit for smallest, unit in SMALLEST_EPOCH.items() if abs(numbers[0]) >= smallest]
    step = float(numbers[-1] - numbers[0]) / (len(numbers) - 1)
    by_spacing = [
        unit
        for unit in (1e-3, 1e-6, 1e-9)
        if step > 1 / LOWEST_FS_HZ and 1 / HIGHEST_FS_HZ < step * unit <= 1 / LOWEST_FS_HZ
    ]
    return (named or by_size or by_spacing or [1.0])[0]


def _check_even(
    seconds: npt.NDArray[np.float64], at: npt.NDArray[Any], step_s: float, where: object
) -> None:
    off = np.abs(seconds - seconds.mean() - step_s * at)
    if off.max() > step_s:
        steps = np.diff(seconds)
        worst = int(np.abs(steps - step_s).argmax())
        raise RecordingError(
            f"{where}: the samples are not evenly spaced: {step_s:.4g} s apart on average, and "
            f"sample {worst + 1} {steps[worst]:.4g} s after the one before it; resample them to a "
            "steady rate, or cut the file where samples are missing"
        )
