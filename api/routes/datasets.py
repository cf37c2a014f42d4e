"""Dataset folders under the data root: their figures, and windows to look at."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api.curves import FromSeconds, MaxPoints, ToSeconds, curve, part_of
from api.dependencies import SettingsDep
from api.paging import After, Limit, PageRead, invalid_cursor, page_of
from api.problems import ProblemError
from api.routes.jobs import NOT_FOUND
from api.schemas import DatasetRead, ErrorRead, QualityRead, SignalRead, StoredWindowRead
from ppgssl.data.browsing import (
    StoredWindow,
    described_windows,
    find_window,
    quality_histogram,
)
from ppgssl.data.dataset import Dataset, dataset_names, open_dataset
from ppgssl.data.schema import Split
from ppgssl.data.split import warn_of_empty_splits
from ppgssl.errors import DatasetError
from ppgssl.json_values import finite

router = APIRouter(prefix="/datasets", tags=["datasets"])

FIGURES = ("subjects", "recordings", "recorded_s", "padded", "rejected")
"""Of dataset.json; the older layout has none of them."""


DESCRIBED = ("window_id", "split", "recording_id", "subject_id", "start_s", "valid_s", "sqi")
"""Columns with a name of their own in an answer; all others are labels."""


def named_folder(name: str, settings: SettingsDep) -> Path:
    """The folder of the dataset that a path names.

    Raises:
        ProblemError: 404, there is none.
    """
    known = dataset_names(settings.data_root)
    if name not in known:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "dataset_not_found",
            f"no dataset is called {name!r}; there are {', '.join(known) or 'none yet'}",
        )
    return settings.data_root / name


FolderDep = Annotated[Path, Depends(named_folder)]


def named_dataset(folder: FolderDep) -> Dataset:
    """The dataset that a path names, opened."""
    return open_dataset(folder)


DatasetDep = Annotated[Dataset, Depends(named_dataset)]


@router.get("")
def list_datasets(
    settings: SettingsDep, limit: Limit = 20, after: After = None
) -> PageRead[DatasetRead]:
    """Datasets by name; a damaged one is listed with its error."""
    names = [name for name in dataset_names(settings.data_root) if after is None or name > after]
    shown = [dataset_read(settings.data_root / name) for name in names[:limit]]
    return page_of(shown, has_more=len(names) > limit, cursor=shown[-1].name if shown else None)


@router.get("/{name}", responses=NOT_FOUND)
def read_dataset(folder: FolderDep) -> DatasetRead:
    """One dataset."""
    return dataset_read(folder)


@router.get("/{name}/quality", responses=NOT_FOUND)
def read_quality(dataset: DatasetDep) -> QualityRead:
    """How many windows there are of which signal quality, by split."""
    return QualityRead(counts={**quality_histogram(dataset)})


@router.get("/{name}/windows", responses=NOT_FOUND)
def list_windows(
    dataset: DatasetDep, split: Split = "train", limit: Limit = 20, after: After = None
) -> PageRead[StoredWindowRead]:
    """The windows of a split as they are stored, without their signals."""
    table = described_windows(dataset, split)
    start = 0
    if after is not None:
        known = table.column("window_id").to_numpy().astype(str).tolist()
        if after not in known:
            raise invalid_cursor(after)
        start = known.index(after) + 1
    shown = [described(row) for row in table.slice(start, limit).to_pylist()]
    return page_of(
        shown,
        has_more=len(table) > start + limit,
        cursor=str(shown[-1].window_id) if shown else None,
    )


@router.get("/{name}/windows/{window_id}", responses=NOT_FOUND)
def read_window(
    dataset: DatasetDep,
    window_id: int,
    from_s: FromSeconds = 0,
    to_s: ToSeconds = None,
    max_points: MaxPoints = 4000,
) -> SignalRead:
    """The signals of a window, or of a part of it, as curves to draw."""
    window = find_window(dataset, window_id)
    if window is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "window_not_found",
            f"dataset {dataset.name!r} has no window {window_id}; list its windows to see those",
        )
    return drawn(window, dataset.fs_hz, from_s, to_s, max_points)


def drawn(
    window: StoredWindow, fs_hz: float, from_s: float, to_s: float | None, max_points: int
) -> SignalRead:
    """A part of a window as curves of at most `max_points` points each."""
    num_samples = len(window.signal)
    start, stop = part_of(num_samples, fs_hz, from_s, to_s)
    return SignalRead(
        **described(window.columns).model_dump(),
        fs_hz=fs_hz,
        samples=num_samples,
        signal=curve(window.signal, start, stop, fs_hz, max_points),
        denoised=curve(window.denoised, start, stop, fs_hz, max_points),
    )


def described(columns: dict[str, Any]) -> StoredWindowRead:
    """What is stored beside a window's signals."""
    known = {name: finite(columns[name]) for name in DESCRIBED if name in columns}
    labels = {name: finite(value) for name, value in columns.items() if name not in DESCRIBED}
    return StoredWindowRead(**known, labels=labels)


def dataset_read(folder: Path) -> DatasetRead:
    """A dataset's figures, or what is wrong with it."""
    try:
        dataset = open_dataset(folder)
    except DatasetError as error:
        return DatasetRead(name=folder.name, error=ErrorRead(code=error.code, message=str(error)))
    return DatasetRead(
        name=dataset.name,
        fs_hz=dataset.fs_hz,
        window_samples=dataset.window_samples,
        counts=dataset.counts,
        labels=list(dataset.labels),
        preprocessing=dataset.preprocessing,
        warnings=[*dataset.warnings, *warn_of_empty_splits(dataset.counts)],
        **{name: dataset.manifest.get(name) for name in FIGURES},
    )
