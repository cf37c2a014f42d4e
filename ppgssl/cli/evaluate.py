"""`ppgssl evaluate`: what a frozen encoder is worth on labelled recordings."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ppgssl.cli.output import console_err, console_out, exit_codes, print_json


def evaluate_command(
    encoder: Annotated[str, typer.Option(help="Checkpoint or run folder, or `default`.")],
    data: Annotated[Path, typer.Option(help="Labelled recordings, or a dataset folder.")],
    label: Annotated[
        list[str] | None, typer.Option(help="Probe this label; repeatable. Default: all.")
    ] = None,
    window_seconds: Annotated[
        float, typer.Option(min=2.0, help="Length of the windows that recordings are cut into.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Probe a frozen encoder by subject-wise cross-validation, beside log-spectrum and mean.

    Example: ppgssl evaluate --encoder runs/demo --data bidmc.parquet --label hr_bpm
    """
    with exit_codes(), tempfile.TemporaryDirectory(prefix="ppgssl-evaluate-") as scratch:
        from ppgssl.evaluation.evaluate import evaluate
        from ppgssl.evaluation.labelled import read_labelled
        from ppgssl.evaluation.settings import EvaluationSettings
        from ppgssl.inference.encoder import load_encoder

        loaded = load_encoder(encoder)
        with console_err.status("reading and cutting the recordings"):
            windows = read_labelled(
                data,
                window_s=window_seconds,
                fs_hz=loaded.info.fs_hz,
                scratch=Path(scratch) / "dataset",
            )
        with console_err.status(f"probing {len(windows.signal)} windows"):
            result = evaluate(loaded, windows, EvaluationSettings(labels=tuple(label or ())))
    if as_json:
        print_json(result.to_json())
        return
    table = Table("label", "windows", "subjects", "metric", "representation", "score", "95 %")
    for report in result.labels:
        for representation, metrics in report.scores.items():
            for metric, value in metrics.items():
                table.add_row(
                    report.label,
                    str(report.windows),
                    str(report.subjects),
                    metric,
                    representation,
                    f"{value.value:.3f}",
                    f"{value.low:.3f} to {value.high:.3f}",
                )
    console_out.print(table)
    if result.data.refused:
        console_err.print(f"{result.data.refused} windows were flat or not finite and left out")
