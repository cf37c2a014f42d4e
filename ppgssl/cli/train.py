"""`ppgssl train`: one run without the service."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ppgssl.cli.engine import Engine, EngineOption, RayAddressOption, check_address
from ppgssl.cli.output import console_err, console_out, exit_codes, print_json

if TYPE_CHECKING:
    from ppgssl.training import progress as events


def train_command(
    config: Annotated[
        str | None, typer.Option(help="A YAML file, or a preset: ssl_pretraining, small, ...")
    ] = None,
    data: Annotated[Path, typer.Option(help="Dataset folder made by `ppgssl prepare`.")] = Path(
        "data"
    ),
    out: Annotated[Path, typer.Option(help="Run folder for the checkpoints.")] = Path("runs/run"),
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Overrides training.epochs.")] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(metavar="N", help="Or auto; overrides training.batch_size."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="One per GPU; overrides training.devices.")
    ] = None,
    engine: EngineOption = Engine.LOCAL,
    ray_address: RayAddressOption = None,
    load_in_memory: Annotated[
        bool, typer.Option("--load-in-memory", help="Read the whole dataset first.")
    ] = False,
    self_check: Annotated[
        bool, typer.Option("--self-check", help="Overfit one batch first; stop if that fails.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out from its last checkpoint.")
    ] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key, repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train an encoder on a dataset folder.

    Example: ppgssl train --config small --data data/demo --out runs/demo --set training.epochs=4
    """
    with exit_codes():
        from ppgssl.config import load_config
        from ppgssl.data.dataset import open_dataset
        from ppgssl.training.interrupt import stop_on_signals
        from ppgssl.training.launch import train_on_devices
        from ppgssl.training.on_ray import train_on_ray
        from ppgssl.training.processes import launched_rank
        from ppgssl.training.progress import Silent

        check_address(engine, ray_address)
        on_ray = engine is Engine.RAY
        flags = {
            "device": device,
            "training.epochs": epochs,
            "training.batch_size": batch_size,
            "training.devices": processes,
            "data.load_in_memory": load_in_memory or None,
            "training.self_check": "fail" if self_check else None,
        }
        settings = [f"{key}={value}" for key, value in flags.items() if value is not None]
        dataset = open_dataset(data)
        tree = load_config(config, [*(overrides or []), *settings], base=dataset.settings)
        is_first = launched_rank() == 0
        telling = TerminalReporter() if is_first else nullcontext(Silent())
        with telling as reporter, stop_on_signals() as should_stop:
            run = partial(train_on_ray, address=ray_address) if on_ray else train_on_devices
            result = run(
                tree, dataset, out, reporter=reporter, should_stop=should_stop, resume=resume
            )
    if not is_first:
        return
    if as_json:
        print_json(asdict(result) | {"out": str(out)})
        return
    console_out.print(f"{result.stop_reason} after epoch {result.epoch}, step {result.step}")
    if result.best:
        console_out.print(f"best: epoch {result.best.epoch}, val loss {result.best.val_loss:.4f}")
    console_out.print(f"encoder: {out / 'best' / 'encoder.safetensors'}")


class TerminalReporter:
    """Shows a run on stderr: a progress bar, a line per epoch, warnings."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:.1f} windows/s"),
            TimeRemainingColumn(),
            console=console_err,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "TerminalReporter":
        # The trainer logs its warnings and tells them to us: without a handler they appear twice.
        logging.getLogger("ppgssl.training.trainer").addHandler(logging.NullHandler())
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def started(self, plan: "events.RunPlan") -> None:
        """Say what will be computed and open the bar."""
        windows = ", ".join(f"{count} {split}" for split, count in plan.windows.items())
        self._bar.print(
            f"{plan.parameters / 1e6:.2f} M parameters on {plan.device} in {plan.precision}; "
            f"{windows} windows"
        )
        self._task = self._bar.add_task(
            "train",
            total=plan.epochs * plan.steps_per_epoch,
            completed=plan.resumed_from_step,
            epoch=1,
            epochs=plan.epochs,
            loss=float("nan"),
            rate=0.0,
        )

    def losses(self, points: Sequence["events.LossPoint"]) -> None:
        """Show the newest training loss; print a line per validation."""
        assert self._task is not None
        for point in points:
            if point.split == "train":
                self._bar.update(self._task, loss=point.values["total"])
                continue
            values = point.values
            line = (
                f"epoch {point.epoch:3d}  val {values['total']:.4f}  "
                f"explains {values['explained_variance']:6.1%}  "
                f"rank {values['effective_rank']:.1f}"
            )
            if "hr_probe_mae" in values:
                probe, mean = values["hr_probe_mae"], values["hr_mean_mae"]
                line += f"  HR error {probe:.1f} bpm (mean {mean:.1f})"
            self._bar.print(line)

    def progress(self, progress: "events.Progress") -> None:
        """Move the bar."""
        assert self._task is not None
        self._bar.update(
            self._task,
            completed=progress.step,
            epoch=progress.epoch,
            rate=progress.windows_per_s,
        )

    def checkpoint(self, saved: "events.CheckpointSaved") -> None:
        """Checkpoints are listed at the end."""

    def warning(self, message: str) -> None:
        """Print it above the bar."""
        self._bar.print(f"[yellow]warning:[/] {message}")

    def note(self, message: str) -> None:
        """Print it above the bar."""
        self._bar.print(message)
