"""Dataset folders: how many windows of whom, how clean, and which labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.schema import SPLITS
from ppgssl.data.split import warn_of_empty_splits
from ppgssl.errors import InputError
from ppgssl.inspection.description import Description, Sheet, median

NUM_EXAMPLES = 3
EXAMPLE_S = 10.0
FIGURE_INCHES = (11.0, 7.0)
MANIFEST_FACTS = ("recordings", "recorded_s", "padded", "rejected", "preprocessing")

SIGNAL_COLOUR, DENOISED_COLOUR, BAR_COLOUR = "#9ca3af", "#c2410c", "#0f766e"


def describe_dataset(path: Path) -> Description:
    """Look at a dataset's columns, all but the signals.

    Raises:
        DatasetError: It is damaged, unfinished, or of an unknown version.
    """
    dataset = open_dataset(path)
    tables = {split: dataset.split(split).metadata() for split in SPLITS}
    everything = pa.concat_tables(tables.values(), promote_options="permissive")
    facts = {
        "windows": sum(dataset.counts.values()),
        "fs_hz": dataset.fs_hz,
        "window_seconds": dataset.window_s,
        **{name: dataset.manifest.get(name) for name in MANIFEST_FACTS},
        "warnings": [*dataset.warnings, *warn_of_empty_splits(dataset.counts)],
    }
    sheets = [_splits(dataset, tables)]
    if dataset.labels:
        sheets.append(_labels(dataset, everything))
    return Description(
        "dataset", path, facts, tuple(sheets), lambda figure: _draw(figure, dataset, everything)
    )


def _splits(dataset: Dataset, tables: dict[str, pa.Table]) -> Sheet:
    rows = [
        (
            split,
            len(table),
            len(table) * dataset.window_s / 3600,
            _distinct(table, "subject_id"),
            _distinct(table, "recording_id"),
            median(_numbers(table["sqi"])) if "sqi" in table.column_names else None,
        )
        for split, table in tables.items()
    ]
    columns = ("split", "windows", "hours", "subjects", "recordings", "median quality")
    return Sheet("splits", columns, rows)


def _labels(dataset: Dataset, table: pa.Table) -> Sheet:
    rows: list[tuple[Any, ...]] = []
    for name in dataset.labels:
        column = table[name]
        known = len(column) - column.null_count
        if _is_number(column):
            values = _numbers(column)
            spread = np.quantile(values, (0, 0.5, 1)).tolist() if len(values) else [None] * 3
            rows.append((name, len(values), *spread, None))
        else:
            rows.append((name, known, None, None, None, _distinct(table, name)))
    return Sheet("labels", ("label", "windows", "least", "median", "most", "classes"), rows)


def _distinct(table: pa.Table, name: str) -> int | None:
    if name not in table.column_names:
        return None
    return len(table[name].drop_null().unique())


def _is_number(column: "pa.ChunkedArray[Any]") -> bool:
    return pa.types.is_floating(column.type) or pa.types.is_integer(column.type)


def _numbers(column: "pa.ChunkedArray[Any]") -> npt.NDArray[np.float64]:
    """The values that there are, without nulls and NaN."""
    values = pc.cast(column.drop_null(), pa.float64()).to_numpy()
    return values[np.isfinite(values)]


def _draw(figure: Figure, dataset: Dataset, table: pa.Table) -> None:
    """Windows on the left, how quality and labels are spread on the right."""
    split = next((name for name in SPLITS if dataset.counts[name]), None)
    if split is None:
        raise InputError(f"{dataset.path} has no windows to draw")
    figure.set_size_inches(*FIGURE_INCHES)
    grid = figure.subplots(NUM_EXAMPLES, 2, width_ratios=(3, 2))
    batch = next(dataset.split(split).batches(NUM_EXAMPLES, seed=0, read_ahead=0))
    for axes, signal, denoised in zip(grid[:, 0], batch.signal, batch.denoised, strict=False):
        _draw_window(axes, signal, denoised, dataset.fs_hz)
    grid[0, 0].set_title(f"windows of {split}: as recorded, and denoised", fontsize=9)
    histograms = _histograms(dataset, table)
    for axes in grid[:, 1]:
        name, values = next(histograms, ("", np.empty(0)))
        axes.set_axis_on() if name else axes.set_axis_off()
        axes.hist(values, bins=40, color=BAR_COLOUR)
        axes.set_xlabel(name, fontsize=8)


def _draw_window(
    axes: Axes, signal: npt.NDArray[np.float32], denoised: npt.NDArray[np.float32], fs_hz: float
) -> None:
    shown = slice(round(EXAMPLE_S * fs_hz))
    seconds = np.arange(len(signal[shown])) / fs_hz
    centred = signal[shown] - signal[shown].mean()
    axes.plot(seconds, centred, color=SIGNAL_COLOUR, linewidth=1)
    axes.plot(seconds, denoised[shown] - denoised[shown].mean(), color=DENOISED_COLOUR, linewidth=1)
    axes.set_xlabel("seconds", fontsize=8)


def _histograms(dataset: Dataset, table: pa.Table) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Quality first, then the labels that are numbers."""
    for name in ("sqi", *dataset.labels):
        if name in table.column_names and _is_number(table[name]):
            yield name, _numbers(table[name])
