"""`ppgssl map`: two coordinates for each window of a file of embeddings."""

from pathlib import Path
from typing import Annotated

import typer

from ppgssl.cli.output import console_out, exit_codes, print_json
from ppgssl.errors import InputError
from ppgssl.inference.embedding_map import MapMethod


def map_command(
    embeddings: Annotated[Path, typer.Argument(help="Parquet file that `ppgssl embed` wrote.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    method: Annotated[
        MapMethod, typer.Option(help="pca keeps distances; umap neighbours (extra `umap`).")
    ] = MapMethod.PCA,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Map embeddings to two coordinates, x and y, to be drawn.

    Of more than 50,000 windows (umap: 10,000) an even choice is mapped.

    Example: ppgssl map embeddings.parquet --out map.parquet --method umap
    """
    with exit_codes():
        from ppgssl.inference.embedding_file import EmbeddingFile
        from ppgssl.inference.embedding_map import map_embeddings, write_map

        if not out.parent.is_dir():
            raise InputError(f"--out {out}: there is no folder {out.parent}; make it first")
        file = EmbeddingFile.open(embeddings)
        table = write_map(map_embeddings(file, method), file, method, out)
    if as_json:
        told = {"out": str(out), "method": method, "windows": len(table), "rows": file.num_rows}
        print_json(told)
    else:
        console_out.print(f"{out}: {len(table):,} of {file.num_rows:,} windows by {method}")
