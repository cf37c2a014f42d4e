"""`ppgssl jobs ...`: the HTTP service from a shell."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ppgssl.cli.output import (
    EXIT_FAILURE,
    console_err,
    console_out,
    exit_codes,
    print_json,
    print_table,
)
from ppgssl.cli.watching import JobScreen
from ppgssl.errors import InputError
from ppgssl.jobs.kinds import OF_AN_ENCODER, JobKind

if TYPE_CHECKING:
    from ppgssl.client import Client, Job

app = typer.Typer(no_args_is_help=True, help="Submit and follow jobs of a running service.")

DEFAULT_URL = "http://127.0.0.1:8000"

Url = Annotated[str, typer.Option("--url", envvar="PPGSSL_URL", help="Where the service is.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="PPGSSL_API_KEY",
        show_envvar=True,
        help="Its key; better given by the variable, which no process list shows.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
JobId = Annotated[str, typer.Argument(help="Id of the job.")]


@app.command("submit")
def submit_command(
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="Dataset folder under the service's data root; to embed, also one of recordings."
        ),
    ] = None,
    dataset_option: Annotated[
        str | None, typer.Option("--dataset", help="The same, by name.")
    ] = None,
    kind: Annotated[JobKind, typer.Option(help="What the job does.")] = JobKind.PRETRAIN,
    preset: Annotated[str | None, typer.Option(help="Preset: ssl_pretraining, small, ...")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Evaluate or embed with this encoder: job id, alias or default."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Evaluate on this label, repeatable. Default: all there are."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file laid over the preset.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key, repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    priority: Annotated[int, typer.Option(help="Higher runs first.")] = 0,
    max_attempts: Annotated[int | None, typer.Option(help="Tries if a worker is lost.")] = None,
    max_runtime_s: Annotated[
        float | None, typer.Option("--max-runtime", help="Longest time of running, seconds.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job to its end.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Queue a training run, an evaluation of an encoder, or the embedding of recordings.

    Example: ppgssl jobs submit my_dataset --preset small --set training.epochs=4

    Example: ppgssl jobs submit my_dataset --kind evaluate --model production --label hr_bpm

    Example: ppgssl jobs submit my_recordings --kind embed --model production
    """
    with connected(url, api_key) as client:
        tree = _config_tree(config, overrides or [])
        tree |= _of_encoder(kind, model, label or [])
        job = client.submit(
            _one_dataset(dataset, dataset_option),
            kind=kind.value,
            preset=preset,
            config=tree,
            name=name,
            priority=priority,
            max_attempts=max_attempts,
            max_runtime_s=max_runtime_s,
        )
        if watch:
            console_err.print(f"submitted {job.id}")
            _watch(client, job.id, as_json=as_json)
        else:
            _show(job, as_json=as_json)


def _one_dataset(argument: str | None, option: str | None) -> str:
    if argument is not None and option is not None:
        raise InputError(f"name one dataset, not both {argument!r} and --dataset {option!r}")
    dataset = argument if option is None else option
    if dataset is None:
        raise InputError("name the dataset: ppgssl jobs submit DATASET")
    return dataset


def _of_encoder(kind: JobKind, model: str | None, labels: Sequence[str]) -> dict[str, Any]:
    if labels and kind is not JobKind.EVALUATE:
        raise InputError("--label is of evaluations; add --kind evaluate")
    if model is not None and kind not in OF_AN_ENCODER:
        raise InputError("--model is of a trained encoder; add --kind evaluate or --kind embed")
    given: dict[str, Any] = {} if model is None else {"model": model}
    return given | ({"labels": list(labels)} if labels else {})


def _config_tree(path: Path | None, overrides: Sequence[str]) -> dict[str, Any]:
    from ppgssl.config import merge, parse_override, read_yaml

    tree = read_yaml(path) if path is not None else {}
    for override in overrides:
        tree = merge(tree, parse_override(override))
    return tree


@app.command("clone")
def clone_command(
    job_id: JobId,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key, repeatable.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file laid over the config.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Another dataset.")] = None,
    name: Annotated[str | None, typer.Option(help="Another name for people.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher runs first.")] = None,
    max_attempts: Annotated[int | None, typer.Option(help="Tries if a worker is lost.")] = None,
    max_runtime_s: Annotated[
        float | None, typer.Option("--max-runtime", help="Longest time of running, seconds.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Queue a job like another one, with changes.

    Example: ppgssl jobs clone job_0123456789abcdef0123 --set seed=1 --name second
    """
    with connected(url, api_key) as client:
        changes = {
            "config": _config_tree(config, overrides or []),
            "dataset": dataset,
            "name": name,
            "priority": priority,
            "max_attempts": max_attempts,
            "max_runtime_s": max_runtime_s,
        }
        given = {key: value for key, value in changes.items() if value is not None}
        _show(client.clone(job_id, given), as_json=as_json)


@app.command("list")
def list_command(
    status: Annotated[str | None, typer.Option(help="Only jobs of this status.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only jobs on this dataset.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Largest number of jobs.")] = 20,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: ppgssl jobs list --status running
    """
    with connected(url, api_key) as client:
        jobs = list(islice(client.jobs(status=status, dataset=dataset), limit))
    if as_json:
        print_json([_plain(job) for job in jobs])
        return
    table = Table(
        "id", "kind", "name", "dataset", "status", "progress", "val loss", "created", box=None
    )
    for job in jobs:
        best = f"{job.best.val_loss:.4f}" if job.best and job.best.val_loss is not None else ""
        created = f"{job.created_at:%Y-%m-%d %H:%M}"
        names = (job.id, job.kind, job.name or "", job.dataset or "")
        table.add_row(*names, job.status, _share(job), best, created)
    print_table(table)


@app.command("show")
def show_command(
    job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Show one job.

    Example: ppgssl jobs show job_0123456789abcdef0123
    """
    with connected(url, api_key) as client:
        _show(client.get(job_id), as_json=as_json)


@app.command("watch")
def watch_command(
    job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Follow a job to its end; exit 1 unless it succeeds. With --json one event a line.

    On a terminal the loss curve is drawn as it grows.

    Example: ppgssl jobs watch job_0123456789abcdef0123
    """
    with connected(url, api_key) as client:
        _watch(client, job_id, as_json=as_json)


def _watch(client: "Client", job_id: str, *, as_json: bool) -> None:
    if as_json:
        for event in client.watch(job_id):
            console_out.print(json.dumps(asdict(event)), markup=False)
    else:
        with JobScreen(console_err) as screen:
            for event in client.watch(job_id):
                screen.show(event.type, event.data)
    job = client.get(job_id)
    if not as_json:
        _show(job, as_json=False)
    if job.status != "succeeded":
        raise typer.Exit(EXIT_FAILURE)


@app.command("losses")
def losses_command(
    job_id: JobId,
    split: Annotated[str | None, typer.Option(help="train or val; both by default.")] = None,
    after_step: Annotated[int, typer.Option(help="Only what follows this step.")] = -1,
    max_points: Annotated[
        int | None, typer.Option(min=1, help="Thin the curves to this many points, peaks kept.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Print the loss history, one point a line as CSV, or as JSON.

    Example: ppgssl jobs losses job_0123456789abcdef0123 --split val
    """
    with connected(url, api_key) as client:
        points = client.losses(job_id, after_step=after_step, split=split, max_points=max_points)
    if as_json:
        print_json([asdict(point) for point in points])
        return
    names = list(dict.fromkeys(name for point in points for name in point.values))
    console_out.print(",".join(["step", "epoch", "split", *names]), markup=False)
    for point in points:
        values = ("" if (v := point.values.get(name)) is None else repr(v) for name in names)
        row = ",".join([str(point.step), str(point.epoch), point.split, *values])
        console_out.print(row, markup=False)


@app.command("cancel")
def cancel_command(
    job_id: JobId,
    wait: Annotated[bool, typer.Option("--wait", help="Return once the job has ended.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a job: a queued one at once, a running one within seconds.

    Example: ppgssl jobs cancel job_0123456789abcdef0123 --wait
    """
    with connected(url, api_key) as client:
        job = client.cancel(job_id)
        _show(client.wait(job_id) if wait else job, as_json=as_json)


@app.command("pause")
def pause_command(
    job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Pause a job; it keeps its last checkpoint.

    Example: ppgssl jobs pause job_0123456789abcdef0123
    """
    with connected(url, api_key) as client:
        _show(client.pause(job_id), as_json=as_json)


@app.command("resume")
def resume_command(
    job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Queue a paused job again; it continues from its last checkpoint.

    Example: ppgssl jobs resume job_0123456789abcdef0123
    """
    with connected(url, api_key) as client:
        _show(client.resume(job_id), as_json=as_json)


@app.command("delete")
def delete_command(
    job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Delete a finished job: its history, its checkpoints and its files.

    Example: ppgssl jobs delete job_0123456789abcdef0123
    """
    with connected(url, api_key) as client:
        client.delete(job_id)
    if as_json:
        print_json({"id": job_id, "deleted": True})
    else:
        console_out.print(f"deleted {job_id}", markup=False)


@app.command("download")
def download_command(
    job_id: JobId,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    checkpoint: Annotated[str, typer.Option(help="best, last or epoch-N.")] = "best",
    everything: Annotated[
        bool, typer.Option("--all", help="Every file of the checkpoint, not the encoder alone.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Download a job's encoder, or the embeddings that it made, checked against their sha256.

    Example: ppgssl jobs download job_0123456789abcdef0123 --out encoder
    """
    with connected(url, api_key) as client:
        from ppgssl.client import ENCODER_FILES

        if client.get(job_id).kind == JobKind.EMBED:
            paths = client.download_embeddings(job_id, out)
        else:
            files = None if everything else ENCODER_FILES
            paths = client.download(job_id, out, checkpoint=checkpoint, files=files)
    _show_paths(paths, as_json=as_json)


@app.command("report")
def report_command(
    job_id: JobId,
    out: Annotated[
        Path | None, typer.Option(help="Folder to download the report and its pictures to.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Print what an evaluation found, as Markdown or as JSON, or download it with its pictures.

    Example: ppgssl jobs report job_0123456789abcdef0123 --out report
    """
    with connected(url, api_key) as client:
        if out is not None:
            _show_paths(client.download_report(job_id, out), as_json=as_json)
        elif as_json:
            print_json(client.report(job_id))
        else:
            console_out.print(client.report_markdown(job_id), markup=False)


def _show_paths(paths: Sequence[Path], *, as_json: bool) -> None:
    if as_json:
        print_json([str(path) for path in paths])
        return
    for path in paths:
        console_out.print(str(path), markup=False)


@contextmanager
def connected(url: str, api_key: str | None) -> Generator["Client"]:
    """A client of the service; errors become exit codes."""
    with exit_codes():
        from ppgssl.client import Client

        with Client(url, api_key) as client:
            yield client


def _show(job: "Job", *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(job))
        return
    rows = {
        "id": job.id,
        "kind": job.kind,
        "name": job.name,
        "dataset": job.dataset,
        "clone of": job.cloned_from,
        "encoder": _encoder(job),
        "status": job.status,
        "progress": _share(job),
        "best": job.best and f"val loss {job.best.val_loss}, epoch {job.best.epoch}",
        "error": job.error and f"{job.error.code}: {job.error.message}",
        "warnings": "\n".join(job.warnings),
    }
    for label, value in rows.items():
        if value:
            console_out.print(f"{label:9} {value}", markup=False)


def _encoder(job: "Job") -> str | None:
    """What a job evaluates or embeds with."""
    encoder = job.config.get("encoder")
    return encoder and f"{job.config['model']}, sha256 {encoder['sha256']}"


def _share(job: "Job") -> str:
    if job.progress is None:
        return ""
    progress = job.progress
    where = progress.stage or f"epoch {progress.epoch}/{progress.epochs}"
    return f"{progress.fraction:.0%} ({where})"


def _plain(job: "Job") -> dict[str, Any]:
    """The job as JSON, times in RFC 3339."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(job).items()
    }
