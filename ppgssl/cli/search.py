"""`ppgssl search` and `ppgssl index`: the nearest windows in a file of embeddings."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ppgssl.cli.output import console_err, console_out, exit_codes, print_json, print_table
from ppgssl.errors import InputError
from ppgssl.inference.search_metric import Metric

if TYPE_CHECKING:
    from ppgssl.inference.search import Neighbour
    from ppgssl.inference.search_index import SearchIndex
    from ppgssl.inference.search_queries import Queries


def search_command(
    embeddings: Annotated[Path, typer.Argument(help="Parquet file that `ppgssl embed` wrote.")],
    query: Annotated[
        Path | None,
        typer.Option(
            help="Embeddings, recording or array of the windows asked about. "
            "Default: the embeddings searched."
        ),
    ] = None,
    row: Annotated[int | None, typer.Option(help="Ask about this row, counted from 0.")] = None,
    recording: Annotated[str | None, typer.Option(help="Ask about this recording.")] = None,
    at: Annotated[
        float | None, typer.Option(help="Ask about its window that holds this second.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many windows to find.")] = 10,
    metric: Annotated[
        Metric | None, typer.Option(help="What near means. Default: cosine, or the index's.")
    ] = None,
    exclude_same_recording: Annotated[
        bool, typer.Option("--exclude-same-recording", help="Find windows of others only.")
    ] = False,
    index: Annotated[
        Path | None, typer.Option(help="Look in this index, which `ppgssl index` built.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Embeds a query that is a recording: a folder, or `default`.")
    ] = "default",
    fs: Annotated[
        float | None, typer.Option(help="Sampling rate of a query that does not say its own, Hz.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find the windows nearest to one, or to each one of a recording or file.

    Without --index every window is compared; a window does not find itself.

    Example: ppgssl search embeddings.parquet --recording p01 --at 120 --exclude-same-recording
    """
    with exit_codes(), tempfile.TemporaryDirectory(prefix="ppgssl-search-") as scratch:
        from ppgssl.inference.embedding_file import EmbeddingFile, holds_embeddings
        from ppgssl.inference.search import find_nearest
        from ppgssl.inference.search_index import SearchIndex
        from ppgssl.inference.search_queries import select_queries

        file = EmbeddingFile.open(embeddings)
        opened = None if index is None else SearchIndex.open(index, file)
        metric = _metric(metric, opened)
        if query is None:
            _check_named(row, recording)
            asked = file
        elif holds_embeddings(query):
            asked = EmbeddingFile.open(query)
        else:
            asked = EmbeddingFile.open(_embedded(query, encoder, fs, Path(scratch)))
        queries = select_queries(asked, row=row, recording_id=recording, at_s=at)
        if opened is not None:
            found = opened.find_nearest(queries, k, exclude_same_recording=exclude_same_recording)
        else:
            found = find_nearest(
                file, queries, k, metric=metric, exclude_same_recording=exclude_same_recording
            )
    if as_json:
        print_json({"metric": metric, "exact": opened is None, "queries": _told(queries, found)})
    else:
        _print(queries, found, metric)


def index_command(
    embeddings: Annotated[Path, typer.Argument(help="Parquet file that `ppgssl embed` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder to write, or an index to replace.")],
    metric: Annotated[Metric, typer.Option(help="What near means.")] = Metric.COSINE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Build an index, with which `ppgssl search --index` need not compare every window.

    Worth its while from some hundred thousand windows on; needs Faiss (the extra `search`).

    Example: ppgssl index embeddings.parquet --out embeddings.index
    """
    with exit_codes(), console_err.status("building the index"):
        from ppgssl.inference.embedding_file import EmbeddingFile
        from ppgssl.inference.search_index import build_index

        built = build_index(EmbeddingFile.open(embeddings), out, metric=metric)
    if as_json:
        print_json(asdict(built) | {"out": str(out)})
        return
    console_out.print(
        f"{out}: {built.windows} windows in {built.lists} lists; looking into {built.probed} finds "
        f"{built.recall:.1%} of the nearest"
    )


def _metric(wanted: Metric | None, index: "SearchIndex | None") -> Metric:
    if index is None:
        return wanted or Metric.COSINE
    if wanted not in (None, index.manifest.metric):
        raise InputError(
            f"the index was built for --metric {index.manifest.metric}; build one for {wanted}, "
            "or search without --index"
        )
    return index.manifest.metric


def _check_named(row: int | None, recording: str | None) -> None:
    if row is None and recording is None:
        raise InputError(
            "name the window asked about: --row N, --recording ID --at SECONDS, or --query FILE"
        )


def _embedded(query: Path, encoder: str, fs_hz: float | None, folder: Path) -> Path:
    """A file of the embeddings of a recording or an array."""
    from ppgssl.data.recordings import find_recordings
    from ppgssl.inference.bulk import embed_units
    from ppgssl.inference.bulk_sources import recording_units
    from ppgssl.inference.encoder import load_encoder
    from ppgssl.inference.granularity import Granularity

    loaded = load_encoder(encoder)
    info, out = loaded.info, folder / "query.parquet"
    window_fs_hz = info.fs_hz if fs_hz is None else fs_hz
    found = find_recordings([query], fs_hz=fs_hz, window_fs_hz=window_fs_hz)
    with console_err.status(f"embedding {query}"):
        embed_units(
            recording_units(found.refs, info.window_s),
            loaded,
            out,
            work=folder / "parts",
            granularity=Granularity.WINDOW,
            on_progress=lambda _: None,
        )
    return out


def _told(queries: "Queries", found: list[list["Neighbour"]]) -> list[dict[str, Any]]:
    names = queries.recording_ids.tolist()
    asked = zip(queries.rows.tolist(), names, queries.start_s.tolist(), found, strict=True)
    return [
        {
            "row": row,
            "recording_id": recording_id,
            "start_s": start_s,
            "nearest": [asdict(neighbour) for neighbour in neighbours],
        }
        for row, recording_id, start_s, neighbours in asked
    ]


def _print(queries: "Queries", found: list[list["Neighbour"]], metric: Metric) -> None:
    table = Table("asked about", "row", "recording", "start (s)", f"{metric} distance", "quality")
    for query in _told(queries, found):
        asked = f"{query['recording_id']} at {query['start_s']:g} s"
        for near in query["nearest"]:
            place = (str(near["row"]), escape(near["recording_id"]), f"{near['start_s']:g}")
            table.add_row(
                escape(asked), *place, f"{near['distance']:.4f}", f"{near['quality']:.2f}"
            )
    print_table(table)
