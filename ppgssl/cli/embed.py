"""`ppgssl embed`: embeddings of recordings or window arrays, without the service."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ppgssl.cli.engine import Engine, EngineOption, RayAddressOption, check_address, pool_of
from ppgssl.cli.output import Rate, console_err, console_out, exit_codes, print_json
from ppgssl.errors import ConfigError
from ppgssl.inference.granularity import Granularity
from ppgssl.inference.settings import SHORTEST_WINDOW_S, EmbeddingSettings

if TYPE_CHECKING:
    from ppgssl.inference.bulk import BulkProgress


def embed_command(
    sources: Annotated[
        list[str],
        typer.Argument(help="Files, folders or globs of recordings; or dataset folders."),
    ],
    encoder: Annotated[str, typer.Option(help="Checkpoint or run folder, or `default`.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    fs: Annotated[
        float | None, typer.Option(help="Sampling rate of files that do not say theirs, Hz.")
    ] = None,
    format: Annotated[str, typer.Option(help="File format, or auto.")] = "auto",
    channel: Annotated[str | None, typer.Option(help="Channel that holds the PPG.")] = None,
    window_seconds: Annotated[
        float | None,
        typer.Option(
            min=SHORTEST_WINDOW_S,
            help="Length that recordings are cut into, seconds. Default: the encoder's.",
        ),
    ] = None,
    granularity: Annotated[
        Granularity, typer.Option(help="An embedding per window, or per segment of it.")
    ] = Granularity.WINDOW,
    device: Annotated[
        str,
        typer.Option(help="auto, cpu, cuda or cuda:N. On Ray, cuda is a GPU for each worker."),
    ] = "auto",
    engine: EngineOption = Engine.LOCAL,
    ray_address: RayAddressOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="At work at once on Ray; one per CPU of the cluster by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Embed every window of every recording, or of a dataset as it is cut, into a Parquet file.

    An array file of shape (windows, samples) gives one row per window, in order; without --fs its
    rate is taken to be the encoder's own. After an interruption the same command continues.

    Example: ppgssl embed recordings/ --encoder runs/demo --out embeddings.parquet
    """
    with exit_codes():
        from ppgssl.inference.bulk import embed_units
        from ppgssl.inference.bulk_slices import NamedEncoder, embed_in_slices
        from ppgssl.inference.bulk_sources import find_units
        from ppgssl.inference.encoder import load_encoder
        from ppgssl.training.devices import resolve_device

        check_address(engine, ray_address)
        on_ray = engine is Engine.RAY
        if workers and not on_ray:
            raise ConfigError("--workers is for --engine ray: one process fills this host already")
        loaded = load_encoder(encoder, "cpu" if on_ray else str(resolve_device(device)))
        settings = EmbeddingSettings(
            granularity=granularity, window_seconds=window_seconds, fs_hz=fs, channel=channel
        )
        found = find_units(
            sources,
            settings,
            format=format,
            own_window_s=loaded.info.window_s,
            own_fs_hz=loaded.info.fs_hz,
        )
        work = out.with_name(f".{out.name}.parts")
        with Progress(
            TextColumn("embedding"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[windows]} windows, {task.fields[rate]:.0f}/s"),
            TimeRemainingColumn(),
            console=console_err,
        ) as bar:
            task = bar.add_task("embedding", total=len(found.units), windows=0, rate=0.0)
            rate = Rate()

            def show(at: "BulkProgress") -> None:
                bar.update(
                    task,
                    completed=at.units,
                    windows=at.windows,
                    rate=rate.per_second(at.windows),
                )

            if on_ray:
                theirs = str(resolve_device(device)) if device == "auto" else device
                result = embed_in_slices(
                    found.units,
                    NamedEncoder(encoder, theirs, loaded.info),
                    out,
                    work=work,
                    granularity=granularity,
                    on_progress=show,
                    workers=workers,
                    open_pool=pool_of(engine, ray_address, gpus=float(theirs != "cpu")),
                )
            else:
                result = embed_units(
                    found.units,
                    loaded,
                    out,
                    work=work,
                    granularity=granularity,
                    on_progress=show,
                )
        shutil.rmtree(work)
    if as_json:
        skipped = {str(path): reason for path, reason in found.skipped}
        print_json(asdict(result) | {"skipped": skipped, "out": str(out)})
        return
    console_out.print(f"{result.windows} windows in {out}, {result.refused} of them refused")
    if result.resumed:
        console_err.print(f"{result.resumed} of them were embedded by an earlier run")
    for path, reason in found.skipped:
        console_err.print(f"skipped: {path}: {reason}")
    for recording_id, reason in result.unreadable.items():
        console_err.print(f"not read: {recording_id}: {reason}")
