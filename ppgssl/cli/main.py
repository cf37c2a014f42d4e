"""The `ppgssl` command: puts the commands together and turns errors into exit codes."""

from typing import Annotated

import typer

from ppgssl import __version__
from ppgssl.cli import jobs, keys
from ppgssl.cli.doctor import doctor_command
from ppgssl.cli.embed import embed_command
from ppgssl.cli.evaluate import evaluate_command
from ppgssl.cli.export import export_command
from ppgssl.cli.inspect import inspect_command
from ppgssl.cli.map import map_command
from ppgssl.cli.prepare import prepare_command
from ppgssl.cli.search import index_command, search_command
from ppgssl.cli.services import api_command, worker_command
from ppgssl.cli.simulate import simulate_command
from ppgssl.cli.train import train_command
from ppgssl.threads import let_idle_threads_sleep

app = typer.Typer(
    name="ppgssl",
    help="Pretrain a self-supervised encoder on PPG recordings and use its embeddings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ppgssl {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Pretrain a self-supervised encoder on PPG recordings and use its embeddings."""


app.command("simulate")(simulate_command)
app.command("prepare")(prepare_command)
app.command("inspect")(inspect_command)
app.command("train")(train_command)
app.command("evaluate")(evaluate_command)
app.command("embed")(embed_command)
app.command("search")(search_command)
app.command("map")(map_command)
app.command("index")(index_command)
app.command("export")(export_command)
app.command("doctor")(doctor_command)
app.command("api")(api_command)
app.command("worker")(worker_command)
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command line."""
    let_idle_threads_sleep()
    app()
