"""Recordings as users have them: found in files, folders and globs, and loaded one at a time.

    find_recordings(sources) ──► RecordingRef, ... ──► ref.load() ──► Recording

Finding opens no more of a file than its header, so that a folder of thousands is listed quickly; a
`RecordingRef` is small and goes over process borders. The formats themselves are the readers' (see
`ppgssl.data.readers`): nothing here knows how a file is laid out.
"""

import glob
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt

from ppgssl.errors import RecordingError

Format = Literal["wfdb", "csv", "empatica", "numpy", "edf", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".hea": "wfdb",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".zip": "empatica",
    ".npy": "numpy",
    ".npz": "numpy",
    ".edf": "edf",
    ".bdf": "edf",
    ".parquet": "parquet",
    ".pq": "parquet",
}
EMPATICA_SIGNAL_NAME = "bvp.csv"
WFDB_SIGNAL_SUFFIXES = (".dat", ".mat")

NUM_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LabelTrack:
    """A label that changes within a recording.

    Attributes:
        fs_hz: Values per second; value k holds from k / fs_hz on.
        values: Numbers with NaN where there is none, or text with "".
    """

    fs_hz: float
    values: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Recording:
    """One uninterrupted PPG signal of one person.

    Attributes:
        recording_id: Unique among the recordings that were found together.
        subject_id: Equal for recordings that may be of one person.
        fs_hz: Sampling rate.
        signal: (T,) float32 in the file's own unit, NaN where missing.
        labels: By name.
    """

    recording_id: str
    subject_id: str
    fs_hz: float
    signal: npt.NDArray[np.float32]
    labels: dict[str, float | str | LabelTrack] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the caller knows about the files and the files may not say.

    Attributes:
        channel: Name of the channel to read; None finds the PPG channel by its name.
        fs_hz: Rate of recordings whose file does not name it.
        window_fs_hz: The same for the rows of two-dimensional arrays; None is `fs_hz`.
    """

    channel: str | None = None
    fs_hz: float | None = None
    window_fs_hz: float | None = None


@dataclass(frozen=True, slots=True)
class RecordingRef:
    """Where a recording is; `load` reads it.

    Attributes:
        path: Its file (WFDB: the header), or the folder of an Empatica export.
        format: Names its reader.
        recording_id: Of the recording.
        size_bytes: Its size on disk, or its share of a file that holds several.
        record: Its name within the file, where the file holds several by name.
        row: Its row within the file, where the file holds one per row.
        is_window: It is one row of an array of windows: to be embedded as it stands, never cut.
        parts: Other files that belong to it and are no recordings by themselves.
        options: How it was asked for.
    """

    path: Path
    format: Format
    recording_id: str
    size_bytes: int
    record: str = ""
    row: int | None = None
    is_window: bool = False
    parts: tuple[Path, ...] = ()
    options: ReadOptions = ReadOptions()

    def load(self) -> Recording:
        """Read it.

        Raises:
            RecordingError: The file is damaged, empty or gone.
        """
        reader = reader_of(self.format)
        with _naming(self.path, self.format):
            recording = reader.load(self)
        if not len(recording.signal):
            raise RecordingError(f"{self.path}: {self.recording_id} holds no samples")
        return recording


@dataclass(frozen=True, slots=True)
class FoundRecordings:
    """What was found.

    Attributes:
        refs: The recordings, in a fixed order.
        skipped: Files that are no usable recordings, each with the reason.
    """

    refs: list[RecordingRef]
    skipped: list[tuple[Path, str]]


class Reader(Protocol):
    """What each module of `ppgssl.data.readers` offers."""

    find: Callable[[Path, ReadOptions], list[RecordingRef]]
    load: Callable[[RecordingRef], Recording]


def reader_of(name: Format) -> Reader:
    """The reader of a format. Imported here, as some need libraries that are slow to import."""
    return cast("Reader", import_module(f"ppgssl.data.readers.{name}"))


def find_recordings(
    sources: Sequence[str | Path],
    *,
    format: str = "auto",
    channel: str | None = None,
    fs_hz: float | None = None,
    window_fs_hz: float | None = None,
    within: Path | None = None,
) -> FoundRecordings:
    """Find the recordings in files, folders (with all below them) and globs.

    Files in folders and globs that are no usable recordings are skipped with their reason; hidden
    ones are not looked at. The order is that of `sources`, and by path within each.

    Args:
        sources: Paths or glob patterns; a WFDB record may be named without its suffix.
        format: One of `FORMATS`, or auto to go by each file's name.
        channel: Name of the channel to read; None finds the PPG channel by its name.
        fs_hz: Rate of recordings whose file does not name it.
        window_fs_hz: The same for the rows of two-dimensional arrays; None is `fs_hz`.
        within: Files that really lie outside this folder, behind a link, are skipped; None: any.

    Raises:
        RecordingError: A source does not exist, a file that was named itself is unusable, or
            nothing was found.
    """
    if format not in ("auto", *FORMATS):
        raise RecordingError(f"unknown format {format!r}; give auto or one of {', '.join(FORMATS)}")
    for rate in (fs_hz, window_fs_hz):
        if rate is not None and not 0 < rate < float("inf"):
            raise RecordingError(f"the sampling rate must be a positive number of Hz, got {rate:g}")

    options = ReadOptions(channel, fs_hz, window_fs_hz)
    is_named = _list_files(sources)
    refs: list[RecordingRef] = []
    refused: dict[Path, RecordingError] = {}
    for path, named in is_named.items():
        try:
            refs += _find_within(within, path, format, options, named=named)
        except RecordingError as error:
            refused[path] = error

    owned = {part for ref in refs for part in ref.parts}
    refused = {path: error for path, error in refused.items() if path not in owned}
    for path, error in refused.items():
        if is_named[path]:
            raise error
    kept = [ref for ref in refs if ref.path not in owned]
    if not kept:
        raise RecordingError(_nothing_found(sources, refused))
    return FoundRecordings(
        _with_unique_ids(kept),
        [(path, str(error).removeprefix(f"{path}: ")) for path, error in refused.items()],
    )


def check_recordings(
    folder: Path,
    *,
    channel: str | None = None,
    fs_hz: float | None = None,
    window_fs_hz: float | None = None,
) -> None:
    """Refuse a folder without any usable recording; looks no further than to the first one.

    Files that really lie outside the folder, behind a link, count for nothing.

    Raises:
        RecordingError: There is none; the message has reasons.
    """
    options = ReadOptions(channel, fs_hz, window_fs_hz)
    refused: dict[Path, RecordingError] = {}
    for path in _walk(folder):
        try:
            if _find_within(folder, _header_of(path), "auto", options, named=False):
                return
        except RecordingError as error:
            refused[path] = error
    raise RecordingError(_nothing_found([folder.name], refused))


def _list_files(sources: Sequence[str | Path]) -> dict[Path, bool]:
    """All files in a fixed order, each once; True for those that were named themselves."""
    files: dict[Path, bool] = {}
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            _add(files, _walk(path), named=False)
        elif path.is_file():
            _add(files, [path], named=True)
        elif path.with_name(f"{path.name}.hea").is_file():
            _add(files, [path.with_name(f"{path.name}.hea")], named=True)
        elif glob.has_magic(str(path)):
            _add(files, _matches(path), named=False)
        else:
            raise RecordingError(f"{source} does not exist; give files, folders or globs")
    return files


def _add(files: dict[Path, bool], paths: Iterable[Path], *, named: bool) -> None:
    for path in map(_header_of, paths):
        files[path] = files.get(path, False) or named


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder by path, without hidden ones."""
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _refuse_folder(error: OSError) -> None:
    """Nothing below a folder is left out in silence because nobody may look into it."""
    raise RecordingError(
        f"{error.filename} cannot be read ({error.strerror}); "
        "give the user of this process the right to, in the image that is 10001"
    ) from error


def _matches(pattern: Path) -> Iterator[Path]:
    found = sorted(glob.glob(str(pattern), recursive=True))
    if not found:
        raise RecordingError(f"no file matches {pattern}")
    for path in map(Path, found):
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _header_of(path: Path) -> Path:
    """The header of a WFDB signal file; any other path as it is."""
    header = path.with_suffix(".hea")
    return header if path.suffix in WFDB_SIGNAL_SUFFIXES and header.is_file() else path


def _find_within(
    within: Path | None, path: Path, format: str, options: ReadOptions, *, named: bool
) -> list[RecordingRef]:
    _refuse_outside(within, path)
    found = _find(path, format, options, named=named)
    for ref in found:
        for part in ref.parts:
            _refuse_outside(within, part)
    return found


def _refuse_outside(within: Path | None, path: Path) -> None:
    if within is not None and not path.resolve().is_relative_to(within.resolve()):
        raise RecordingError(f"{path}: a link leads out of {within.name}")


def _find(path: Path, format: str, options: ReadOptions, *, named: bool) -> list[RecordingRef]:
    own = _format_of(path)
    if format != "auto" and own != format and not named:
        raise RecordingError(f"{path}: no {format} file by its name")
    chosen = own if format == "auto" else cast("Format", format)
    if chosen is None:
        raise RecordingError(f"{path}: no recording by its name ({path.suffix or 'no suffix'})")
    if not path.stat().st_size:
        raise RecordingError(f"{path}: the file is empty")
    reader = reader_of(chosen)
    with _naming(path, chosen):
        return reader.find(path, options)


def _format_of(path: Path) -> Format | None:
    if path.name.lower() == EMPATICA_SIGNAL_NAME:
        return "empatica"
    return FORMAT_OF_SUFFIX.get(path.suffix.lower())


@contextmanager
def _naming(path: Path, format: Format) -> Generator[None]:
    """Turn whatever a parser raises on a damaged file into an error that names the file."""
    try:
        yield
    except RecordingError:
        raise
    except Exception as error:  # the parsers of other libraries raise anything at all
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecordingError(f"{path}: cannot be read as {format} ({reason})") from error


def _nothing_found(sources: Sequence[str | Path], refused: dict[Path, RecordingError]) -> str:
    reasons = "; ".join(str(error) for error in list(refused.values())[:NUM_REASONS_SHOWN])
    given = ", ".join(str(source) for source in sources)
    return f"no recordings in {given or 'an empty list'}; {reasons or 'there are no files'}"


def _with_unique_ids(refs: Sequence[RecordingRef]) -> list[RecordingRef]:
    """Recordings of one id are told apart by their folders, else by file name and row."""
    counts = Counter(ref.recording_id for ref in refs)
    alike: dict[str, list[RecordingRef]] = {}
    for ref in refs:
        if counts[ref.recording_id] > 1:
            alike.setdefault(ref.recording_id, []).append(ref)
    names = {id(ref): name for same in alike.values() for ref, name in _told_apart(same)}
    return [replace(ref, recording_id=names.get(id(ref), ref.recording_id)) for ref in refs]


def _told_apart(refs: Sequence[RecordingRef]) -> Iterable[tuple[RecordingRef, str]]:
    folders = [ref.path.absolute().parent.parts for ref in refs]
    for depth in range(1, max(map(len, folders))):
        names = [
            "/".join((*parts[-depth:], ref.recording_id))
            for parts, ref in zip(folders, refs, strict=True)
        ]
        if len(set(names)) == len(names):
            return zip(refs, names, strict=True)
    return [(ref, f"{ref.recording_id} ({_position(ref)})") for ref in refs]


def _position(ref: RecordingRef) -> str:
    return ref.path.name if ref.row is None else f"{ref.path.name}[{ref.row}]"
