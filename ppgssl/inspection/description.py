"""What an inspection found: facts by name, tables, and a picture that is drawn when asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ppgssl.errors import InputError

DPI = 110


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: a row has a value, or None, per column."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """Each row by the columns' names."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Description:
    """What is in something on the disk.

    Attributes:
        kind: recordings, dataset, checkpoint or embeddings.
        path: Where it lies.
        facts: What is said in a value, by name; None is not known.
        sheets: What takes a table.
        draw: Draws it into an empty figure. Raises InputError where there is nothing to draw.
    """

    kind: str
    path: Path
    facts: Mapping[str, Any]
    sheets: tuple[Sheet, ...]
    draw: Callable[[Figure], None]

    def to_json(self) -> dict[str, Any]:
        """All of it but the picture."""
        tables = {sheet.title: sheet.records() for sheet in self.sheets}
        return {"kind": self.kind, "path": str(self.path), **self.facts, **tables}


def median(values: npt.NDArray[np.floating]) -> float | None:
    """Of the values that are finite; None where there are none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def save_picture(description: Description, file: Path) -> None:
    """Draw into a file; its name says the format, such as .png, .svg or .pdf.

    Raises:
        InputError: There is no such format, nothing to draw, or the file cannot be written.
    """
    figure = Figure(layout="constrained")
    canvas = FigureCanvasAgg(figure)
    known = canvas.get_supported_filetypes()
    if file.suffix[1:] not in known:
        raise InputError(f"cannot draw {file}: expected a name that ends in {', '.join(known)}")
    description.draw(figure)
    try:
        figure.savefig(file, dpi=DPI)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error
