"""`ppgssl simulate`: recordings whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from ppgssl.cli.output import console_err, console_out, exit_codes, print_json


def simulate_command(
    out: Annotated[Path, typer.Option(help="Folder for one Parquet file per subject.")],
    subjects: Annotated[int, typer.Option(min=1, help="Number of subjects.")],
    minutes: Annotated[
        float, typer.Option(min=0.1, max=1440, help="Length of each recording, at most a day.")
    ],
    fs: Annotated[float, typer.Option(min=20, max=1000, help="Sampling rate, Hz.")] = 125.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same files.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate PPG recordings of known heart rate, respiration, rhythm and artefacts.

    Example: ppgssl simulate --out recordings --subjects 20 --minutes 30
    """
    with exit_codes():
        from ppgssl.data.simulated import write_simulated

        with Progress(console=console_err) as bar:
            task = bar.add_task("simulating", total=subjects)
            paths = write_simulated(
                out,
                subjects=subjects,
                minutes=minutes,
                fs_hz=fs,
                seed=seed,
                on_subject=lambda _: bar.advance(task),
            )
    if as_json:
        print_json({"out": str(out), "files": [str(path) for path in paths], "fs_hz": fs})
        return
    hours = subjects * minutes / 60
    console_out.print(f"{len(paths)} recordings, {hours:.1f} hours, in {out}")
