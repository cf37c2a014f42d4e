"""Opens dataset folders, by path or by a name that came over the network.

Opening reads `dataset.json` and the files' footers, never a signal.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ppgssl.data.batch import RowSource, WindowSource
from ppgssl.data.manifest import MANIFEST_NAME, WORK_FOLDER, read_manifest
from ppgssl.data.older_layout import ID_COLUMN, OlderLayoutWindows, find_metadata, open_older_layout
from ppgssl.data.parquet_windows import ParquetWindows, open_shards
from ppgssl.data.plain_windows import PlainWindows, are_plain
from ppgssl.data.schema import RESERVED_COLUMNS, SPLITS, Split, window_bytes
from ppgssl.data.windows import Windows
from ppgssl.errors import DatasetError
from ppgssl.html import facts_table

SHARE_OF_MEMORY = 0.5  # the rest is for the step


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset folder.

    Attributes:
        path: The folder.
        fs_hz: Sampling rate of every window.
        window_samples: Samples in every window.
        counts: Windows per split.
        preprocessing: How recordings became windows.
        manifest: All of `dataset.json`; for the older layout its equivalent.
        labels: Names of the label columns.
        warnings: What a user should know before training on it.
    """

    path: Path
    fs_hz: float
    window_samples: int
    counts: dict[str, int]
    preprocessing: dict[str, Any]
    manifest: dict[str, Any]
    labels: tuple[str, ...]
    warnings: tuple[str, ...]
    _source_of: Callable[[Split], WindowSource]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def window_s(self) -> float:
        """Length of the windows, seconds."""
        return self.window_samples / self.fs_hz

    @property
    def settings(self) -> dict[str, Any]:
        """The config keys that follow from the windows, for a config that does not say them."""
        return {"data": {"window_seconds": self.window_s, "fs_hz": self.fs_hz}}

    def pays_to_hold(self, available_bytes: int | None) -> bool:
        """Whether windows should be kept in memory once they are read.

        Those that lie as they are in their files are not: the system keeps what it has read of them
        in memory that is free, and gives it back. Others are decoded anew in every epoch.

        Args:
            available_bytes: Memory for this dataset; None where nobody says.
        """
        must_decode = not isinstance(self._source_of("train"), RowSource)
        num_bytes = sum(self.counts.values()) * window_bytes(self.window_samples)
        return must_decode and num_bytes <= SHARE_OF_MEMORY * (available_bytes or 0)

    def _repr_html_(self) -> str:
        facts = {
            "windows": self.counts,
            "window": f"{self.window_samples} samples at {self.fs_hz:g} Hz",
            "labels": self.labels,
            "warnings": self.warnings,
        }
        return facts_table(f"dataset {self.name}", facts)

    def split(self, name: str, *, in_memory: bool = False) -> Windows:
        """The windows of `train`, `val` or `test`; there may be none.

        Args:
            name: The split.
            in_memory: Read all of it at the first batch, and keep it.

        Raises:
            DatasetError: There is no such split, or a file is damaged.
        """
        for split in SPLITS:
            if name == split:
                return Windows(self._source_of(split), in_memory=in_memory)
        raise DatasetError(f"unknown split {name!r}; expected one of {', '.join(SPLITS)}")


def open_dataset(path: Path) -> Dataset:
    """Open a folder written by `ppgssl prepare`, or one of the older layout.

    Raises:
        DatasetError: The folder is missing, holds no dataset, is damaged or of an unknown version.
    """
    path = Path(path)
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; make a dataset with `ppgssl prepare`")
    if (path / MANIFEST_NAME).exists():
        return _open_current(path)
    if (path / WORK_FOLDER).exists():
        raise DatasetError(
            f"{path}: preparation was interrupted; run the same `ppgssl prepare` again to finish it"
        )
    metadata_path = find_metadata(path)
    if metadata_path is None:
        raise DatasetError(
            f"{path}: holds no dataset ({MANIFEST_NAME} is missing); make one with `ppgssl prepare`"
        )
    return _open_older(path, metadata_path)


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds a dataset, be it damaged or unfinished, and not just recordings."""
    if any((folder / name).exists() for name in (MANIFEST_NAME, WORK_FOLDER)):
        return True
    try:
        return find_metadata(folder) is not None
    except DatasetError:  # a recording in Parquet may be damaged, too
        return False


def dataset_names(root: Path) -> list[str]:
    """Names of the dataset folders directly under `root`, sorted; damaged ones are listed too.

    A link that leads out of `root` is not: nothing behind it can be opened by its name either.
    """
    if not root.is_dir():
        return []
    inside = (folder for folder in root.iterdir() if _is_below(folder.resolve(), root))
    return sorted(
        folder.name for folder in inside if folder.is_dir() and _looks_like_dataset(folder)
    )


def resolve_dataset(root: Path, name: str) -> Path:
    """The folder of a dataset that somebody named over the network.

    Raises:
        DatasetError: The name is absolute, leads out of `root` (also by a symbolic link), or names
            no folder; the message lists the names that there are.
    """
    known = ", ".join(dataset_names(root)) or "none yet, `ppgssl prepare` makes them"
    is_plain = bool(name) and "\0" not in name and not Path(name).is_absolute()
    folder = (root / name).resolve() if is_plain else root
    if not is_plain or ".." in Path(name).parts or not _is_below(folder, root):
        raise DatasetError(f"dataset {name!r} is not a name below the data root; known: {known}")
    if not folder.is_dir():
        raise DatasetError(f"dataset {name!r} does not exist; known: {known}")
    return folder


def _is_below(folder: Path, root: Path) -> bool:
    root = root.resolve()
    return folder != root and folder.is_relative_to(root)


def _looks_like_dataset(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).exists() or any(folder.glob("*.parquet"))


def _open_current(path: Path) -> Dataset:
    manifest = read_manifest(path)
    shards = open_shards(path, manifest.window_samples)
    expected = sum(manifest.counts.values())
    found = sum(shard.num_windows for shard in shards)
    if found != expected:
        raise DatasetError(
            f"{path}: {MANIFEST_NAME} counts {expected} windows, windows-*.parquet hold {found}; "
            "a file is missing or does not belong here: restore it, or prepare the dataset again"
        )
    reader = PlainWindows if are_plain(shards, manifest.window_samples) else ParquetWindows
    return Dataset(
        path=path,
        fs_hz=manifest.fs_hz,
        window_samples=manifest.window_samples,
        counts={split: manifest.counts.get(split, 0) for split in SPLITS},
        preprocessing=manifest.preprocessing,
        manifest=manifest.model_dump(),
        labels=_labels(
            name for shard in shards for name in shard.footer.schema.to_arrow_schema().names
        ),
        warnings=(),
        _source_of=partial(reader, shards, window_samples=manifest.window_samples),
    )


def _open_older(path: Path, metadata_path: Path) -> Dataset:
    layout = open_older_layout(path, metadata_path)
    counted = Counter(layout.splits.tolist())
    counts: dict[str, int] = {split: counted[split] for split in SPLITS}
    num_fallbacks = sum(
        window_id not in layout.denoised for window_id in layout.window_ids.tolist()
    )
    return Dataset(
        path=path,
        fs_hz=layout.fs_hz,
        window_samples=layout.window_samples,
        counts=counts,
        preprocessing={},
        manifest={
            "layout": "older",
            "fs_hz": layout.fs_hz,
            "window_samples": layout.window_samples,
            "counts": counts,
            "denoised_missing": num_fallbacks,
        },
        labels=_labels(layout.metadata.column_names),
        warnings=layout.warnings,
        _source_of=partial(OlderLayoutWindows, layout),
    )


def _labels(columns: Iterable[str]) -> tuple[str, ...]:
    known = {*RESERVED_COLUMNS, ID_COLUMN}
    return tuple(dict.fromkeys(name for name in columns if name not in known))
