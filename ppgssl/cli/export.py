"""`ppgssl export`: an encoder for runtimes without PyTorch."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ppgssl.cli.output import console_out, exit_codes, print_json


class Format(StrEnum):
    """What an encoder can be exported to."""

    ONNX = "onnx"


def export_command(
    encoder: Annotated[str, typer.Option(help="Checkpoint or run folder, or `default`.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    format: Annotated[Format, typer.Option(help="File format.")] = Format.ONNX,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Export an encoder and check that it computes the same embeddings.

    Example: ppgssl export --encoder runs/demo --format onnx --out encoder.onnx
    """
    with exit_codes():
        from ppgssl.inference.export import export_onnx

        distance = export_onnx(encoder, out)
    if as_json:
        print_json({"out": str(out), "format": format.value, "largest_relative_distance": distance})
        return
    console_out.print(f"{out}: agrees with PyTorch to {distance:.1e} relative")
