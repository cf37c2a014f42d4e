"""`ppgssl inspect`: what is in a recording, dataset, checkpoint or file of embeddings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ppgssl.cli.output import console_err, console_out, exit_codes, print_json, print_table

if TYPE_CHECKING:
    from ppgssl.inspection.description import Description, Sheet


def inspect_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="Recording, dataset folder, checkpoint or run folder, embeddings; or `default`.",
        ),
    ],
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file, FILE.png.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Measure and list so many recordings.")] = 20,
    file_format: Annotated[
        str, typer.Option("--format", help="auto, wfdb, csv, empatica, numpy, edf or parquet.")
    ] = "auto",
    channel: Annotated[str | None, typer.Option(help="Channel that holds the PPG.")] = None,
    fs: Annotated[
        float | None, typer.Option(help="Sampling rate of files that do not say theirs, Hz.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Print, and draw, what is in a recording, dataset, checkpoint or file of embeddings.

    Example: ppgssl inspect recordings/p01.csv --fs 64 --plot p01.png

    Example: ppgssl inspect runs/first --plot losses.png
    """
    with exit_codes():
        with Progress(
            TextColumn("looking"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console_err,
            transient=True,
        ) as bar:
            from ppgssl.inspection.description import save_picture
            from ppgssl.inspection.recognise import Asked, inspect

            task = bar.add_task("looking", total=None)
            description = inspect(
                source,
                Asked(file_format, channel, fs, limit),
                lambda total: bar.update(task, total=total, advance=1),
            )
        if plot is not None:
            save_picture(description, plot)
            console_err.print(f"wrote {plot}", markup=False, soft_wrap=True)
    if as_json:
        print_json(description.to_json())
    else:
        _print(description)


def _print(description: "Description") -> None:
    facts = Table("", box=None, show_header=False)
    facts.add_column("", overflow="fold")
    facts.add_row(description.kind, escape(str(description.path)), style="bold")
    for name, value in description.facts.items():
        if value not in (None, [], {}):
            facts.add_row(name, escape(_shown(value)))
    print_table(facts)
    for sheet in description.sheets:
        console_out.print()
        print_table(_table(sheet))


def _table(sheet: "Sheet") -> Table:
    table = Table(*sheet.columns, title=sheet.title, title_justify="left", box=None)
    table.columns[0].no_wrap = True
    for row in sheet.rows:
        table.add_row(*(escape(_shown(value)) for value in row))
    return table


def _shown(value: Any) -> str:
    """A value for people: four digits of a number, a tree in one line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    return str(value)
