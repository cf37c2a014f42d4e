"""`ppgssl prepare`: recordings to a dataset folder."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ppgssl.cli.engine import Engine, EngineOption, RayAddressOption, pool_of
from ppgssl.cli.output import console_err, console_out, exit_codes, print_json, print_table

if TYPE_CHECKING:
    from ppgssl.data.prepare import DatasetSummary, PrepareProgress

NUM_FILES_SHOWN = 20


def prepare_command(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Files, folders or globs.")
    ],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    window_seconds: Annotated[
        float | None, typer.Option(help="Length of a window; 600 by default.")
    ] = None,
    hop_seconds: Annotated[
        float | None, typer.Option(help="From window to window; one window by default.")
    ] = None,
    fs: Annotated[
        float | None, typer.Option(help="Rate of the windows, Hz; 125 by default.")
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="auto, wfdb, csv, empatica, numpy, edf or parquet.")
    ] = "auto",
    channel: Annotated[
        str | None, typer.Option(help="The channel's name; the PPG channel is found by itself.")
    ] = None,
    input_hz: Annotated[
        float | None, typer.Option("--input-fs", help="Rate of files that do not name theirs, Hz.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="At work at once; one per CPU by default.")
    ] = None,
    engine: EngineOption = Engine.LOCAL,
    ray_address: RayAddressOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split by subject.")] = 0,
    config: Annotated[
        str | None,
        typer.Option(help="YAML file or preset that names data.window_seconds and data.fs_hz."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Cut recordings into windows: resampled, denoised, judged, split by subject.

    A run that was interrupted continues when it is started again.

    Example: ppgssl prepare recordings/ --out data/demo --window-seconds 10
    """
    with exit_codes():
        from ppgssl.data.recordings import FORMATS
        from ppgssl.data.worker_imports import worker_imports
        from ppgssl.pools.local import begin_imports

        if engine is Engine.LOCAL:
            begin_imports(workers, worker_imports(f for f in FORMATS if file_format in ("auto", f)))

        from ppgssl.config import load_config
        from ppgssl.data.prepare import PrepareSettings, prepare
        from ppgssl.data.recordings import find_recordings

        data = load_config(config).data
        settings = PrepareSettings(
            window_seconds=data.window_seconds if window_seconds is None else window_seconds,
            hop_seconds=hop_seconds,
            fs_hz=data.fs_hz if fs is None else fs,
            seed=seed,
        )
        found = find_recordings(sources, format=file_format, channel=channel, fs_hz=input_hz)
        with ProgressBar() as bar:
            summary = prepare(
                found.refs,
                out,
                settings,
                workers=workers,
                progress=bar.show,
                open_pool=pool_of(engine, ray_address),
            )
    skipped = [(str(path), reason) for path, reason in found.skipped]
    if as_json:
        print_json(asdict(summary) | {"skipped": [list(item) for item in skipped]})
    else:
        _print_summary(summary, skipped)


class ProgressBar:
    """Shows a preparation on stderr."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.fields[done]}/{task.fields[recordings]} recordings"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]:,.0f}x real time"),
            TextColumn("[green]{task.fields[kept]} kept[/] {task.fields[rejected]} rejected"),
            TimeRemainingColumn(),
            console=console_err,
        )
        self._task = self._bar.add_task(
            "prepare", total=None, done=0, recordings=0, speed=0.0, kept=0, rejected=0
        )
        self._recorded_before_s: float | None = None

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: "PrepareProgress") -> None:
        """Move the bar; the speed counts what this run did itself."""
        if self._recorded_before_s is None:
            self._recorded_before_s = progress.recorded_s
        elapsed_s = self._bar.tasks[0].elapsed or 0.0
        recorded_s = progress.recorded_s - self._recorded_before_s
        self._bar.update(
            self._task,
            total=progress.bytes_total,
            completed=progress.bytes_done,
            done=progress.recordings_done,
            recordings=progress.recordings,
            speed=recorded_s / elapsed_s if elapsed_s else 0.0,
            kept=progress.kept,
            rejected=progress.rejected,
        )


def _print_summary(summary: "DatasetSummary", skipped: Sequence[tuple[str, str]]) -> None:
    table = Table("split", "windows", "subjects")
    for split, count in summary.counts.items():
        table.add_row(split, str(count), str(summary.subjects[split]))
    print_table(table)
    hours = summary.recorded_s / 3600
    console_out.print(f"{summary.recordings} recordings, {hours:.1f} hours: {summary.path}")
    if summary.padded:
        console_out.print(f"{summary.padded} windows are padded: their recordings are shorter")
    for reason, count in summary.rejected.items():
        console_out.print(f"rejected, {reason}: {count}")
    _print_files("unreadable", [(x["recording"], x["reason"]) for x in summary.unreadable])
    _print_files("skipped", skipped)
    for warning in summary.warnings:
        console_out.print(f"[yellow]warning:[/] {warning}")


def _print_files(title: str, files: Sequence[tuple[str, str]]) -> None:
    if not files:
        return
    console_out.print(f"{title}: {len(files)}")
    for name, reason in files[:NUM_FILES_SHOWN]:
        console_out.print(f"  {name}: {reason}", markup=False)
    if len(files) > NUM_FILES_SHOWN:
        console_out.print(f"  ... and {len(files) - NUM_FILES_SHOWN} more")
