"""`ppgssl evaluate`: what a frozen encoder is worth on labelled recordings."""

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ppgssl.cli.output import console_err, console_out, exit_codes, print_json, print_table
from ppgssl.errors import InputError

if TYPE_CHECKING:
    from ppgssl.evaluation.results import Evaluation


def evaluate_command(
    encoder: Annotated[str, typer.Option(help="Checkpoint or run folder, or `default`.")],
    data: Annotated[Path, typer.Option(help="Labelled recordings, or a dataset folder.")],
    label: Annotated[
        list[str] | None, typer.Option(help="Probe this label; repeatable. Default: all.")
    ] = None,
    window_seconds: Annotated[
        float, typer.Option(min=2.0, help="Length of the windows that recordings are cut into.")
    ] = 10.0,
    hop_seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="From one window to the next. Default: the window's length."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write report.json, report.md and pictures here.")
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATH of a further encoder to hold it against; repeatable."),
    ] = None,
    label_efficiency: Annotated[
        bool, typer.Option(help="Also probe with the labels of few people.")
    ] = True,
    robustness: Annotated[
        bool, typer.Option(help="Also test the probes on corrupted windows.")
    ] = True,
    references: Annotated[
        bool, typer.Option(help="Hold an untrained encoder and classical estimates beside it.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of draws, noise and intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Probe a frozen encoder by subject-wise cross-validation, beside what needs no training.

    Example: ppgssl evaluate --encoder runs/demo --data bidmc.parquet --label hr_bpm --report out
    """
    with exit_codes(), tempfile.TemporaryDirectory(prefix="ppgssl-evaluate-") as scratch:
        _check_finite("--window-seconds", window_seconds)
        _check_finite("--hop-seconds", hop_seconds or window_seconds)
        if report is not None:
            _make_folder(report)

        from ppgssl.evaluation.evaluate import evaluate
        from ppgssl.evaluation.labelled import read_labelled
        from ppgssl.evaluation.settings import EvaluationSettings
        from ppgssl.inference.encoder import load_encoder

        settings = EvaluationSettings(
            labels=tuple(label or ()),
            window_seconds=window_seconds,
            hop_seconds=hop_seconds,
            label_efficiency=label_efficiency,
            robustness=robustness,
            references=references,
            seed=seed,
        )
        loaded = load_encoder(encoder)
        others = {name: load_encoder(path) for name, path in map(_named, beside or ())}
        with Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console_err,
            transient=True,
        ) as bar:
            task = bar.add_task("reading and cutting the recordings", total=1.0)
            windows = read_labelled(
                data,
                window_s=settings.window_seconds,
                hop_s=settings.hop_seconds,
                fs_hz=loaded.info.fs_hz,
                scratch=Path(scratch) / "dataset",
            )

            def show(stage: str, share: float) -> None:
                bar.update(task, description=stage, completed=share)

            result = evaluate(loaded, windows, settings, beside=others, progress=show)
        if report is not None:
            _write(result, report)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)


def _check_finite(option: str, seconds: float) -> None:
    if not math.isfinite(seconds):
        raise InputError(f"{option} expects a number of seconds, such as 10, got {seconds}")


def _make_folder(folder: Path) -> None:
    """Before anything is computed: a report that cannot be written is told at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--report expects a folder that can be written, got {folder}: {error.strerror}"
        ) from error


def _named(option: str) -> tuple[str, str]:
    name, separator, path = option.partition("=")
    if not (name and separator and path):
        raise InputError(f"--beside expects NAME=PATH, such as drawn=runs/drawn, got {option!r}")
    return name, path


def _write(result: "Evaluation", folder: Path) -> None:
    from ppgssl.evaluation.report import write_report

    for path in write_report(result, folder):
        console_err.print(f"wrote {path}", markup=False, soft_wrap=True)


def _print(result: "Evaluation") -> None:
    from ppgssl.evaluation.report import conclusion

    table = Table("label", "metric", "representation", "score (95 % interval)")
    for report in result.labels:
        for representation, metrics in report.scores.items():
            for metric, found in metrics.items():
                shown = f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
                table.add_row(report.label, metric, representation, shown)
    print_table(table)
    for report in result.labels:
        size = f"{report.windows} windows of {report.subjects} people"
        console_out.print(f"{report.label}, {size}: {conclusion(report)}", markup=False)
    if result.data.refused:
        console_err.print(f"{result.data.refused} windows could not be embedded and are left out")
