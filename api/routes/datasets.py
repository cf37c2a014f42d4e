"""Dataset folders under the data root, with their figures."""

from pathlib import Path

from fastapi import APIRouter

from api.dependencies import SettingsDep
from api.paging import After, Limit, PageRead, page_of
from api.schemas import DatasetRead, ErrorRead
from ppgssl.data.dataset import dataset_names, open_dataset
from ppgssl.errors import DatasetError

router = APIRouter(prefix="/datasets", tags=["datasets"])

FIGURES = ("subjects", "recordings", "recorded_s", "padded", "rejected")
"""Of dataset.json; the older layout has none of them."""


@router.get("")
def list_datasets(
    settings: SettingsDep, limit: Limit = 20, after: After = None
) -> PageRead[DatasetRead]:
    """Datasets by name; a damaged one is listed with its error."""
    names = [name for name in dataset_names(settings.data_root) if after is None or name > after]
    shown = [dataset_read(settings.data_root / name) for name in names[:limit]]
    return page_of(shown, has_more=len(names) > limit, cursor=shown[-1].name if shown else None)


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
        warnings=list(dataset.warnings),
        **{name: dataset.manifest.get(name) for name in FIGURES},
    )
