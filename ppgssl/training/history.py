"""The loss history of a run: one row per step and per validation, kept as columns of numbers."""

import math
from array import array
from collections.abc import Iterator, Sequence

import pyarrow as pa

from ppgssl.training.progress import LossPoint

KEYS = ("step", "epoch", "split")


class History:
    """Grows by points, turns into a table and back. A million rows take about 100 MB."""

    def __init__(self) -> None:
        self._steps = array("q")
        self._epochs = array("q")
        self._splits: list[str] = []
        self._values: dict[str, array[float]] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[LossPoint]:
        for row, split in enumerate(self._splits):
            values = {
                name: column[row]
                for name, column in self._values.items()
                if not math.isnan(column[row])
            }
            yield LossPoint(self._steps[row], self._epochs[row], split, values)

    def extend(self, points: Sequence[LossPoint]) -> None:
        """Append points; a value that a point lacks becomes NaN."""
        for point in points:
            for name in point.values.keys() - self._values.keys():
                self._values[name] = array("d", [math.nan]) * len(self)
            for name, column in self._values.items():
                column.append(point.values.get(name, math.nan))
            self._steps.append(point.step)
            self._epochs.append(point.epoch)
            self._splits.append(point.split)

    def to_table(self) -> pa.Table:
        """Columns step, epoch, split and one per value, null where a point has none."""
        keys = {
            "step": pa.array(self._steps, pa.int64()),
            "epoch": pa.array(self._epochs, pa.int64()),
            "split": pa.array(self._splits, pa.string()),
        }
        values = {
            name: pa.array(column, pa.float64(), from_pandas=True)
            for name, column in self._values.items()
        }
        return pa.table({**keys, **values})

    @classmethod
    def from_table(cls, table: pa.Table) -> "History":
        """The inverse of `to_table`."""
        history = cls()
        history._steps = array("q", table["step"].to_numpy())
        history._epochs = array("q", table["epoch"].to_numpy())
        history._splits = [str(split) for split in table["split"].to_pylist()]
        for name in table.column_names:
            if name not in KEYS:
                history._values[name] = array("d", table[name].to_numpy())
        return history
