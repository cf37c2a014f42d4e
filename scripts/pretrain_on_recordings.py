"""Pretrain on several datasets through a running service, and report what came out.

    python scripts/pretrain_on_recordings.py --url http://127.0.0.1:8000 \
        --job bidmc-10s:ten_seconds:4 --job bidmc-600s:ssl_pretraining:3 --out report

Each job is DATASET:PRESET:EPOCHS. Jobs run one after another; every encoder is downloaded and
embeds the windows given with --embed (a .npy file of shape (windows, samples)); a table in
Markdown and a picture of the loss curves are written to --out. Run again, it finds the jobs that it
submitted before.
"""

import argparse
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console

from ppgssl.client import Client, Job, LossPoint
from ppgssl.config import merge, parse_override

console = Console(stderr=True)
CURVES = {"train": {"color": "0.6", "lw": 0.8}, "val": {"color": "C3", "marker": "o"}}
PEAK_MEMORY = re.compile(r"peak memory: (\d+) MB on the host")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished job."""

    dataset: str
    job: Job
    points: list[LossPoint]
    train_seconds: float
    peak_memory_mb: int
    embed_ms: float

    @property
    def windows_per_s(self) -> float:
        """Training windows in the whole time of the job, start and validation included."""
        training = self.job.config["training"]
        steps = sum(point.split == "train" for point in self.points)
        return steps * training["batch_size"] * training["accumulation_steps"] / self.train_seconds

    @property
    def last_val(self) -> dict[str, float]:
        """Values of the newest validation."""
        return [point.values for point in self.points if point.split == "val"][-1]


def main() -> None:
    """Run the jobs and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--job", action="append", required=True, metavar="DATASET:PRESET:EPOCHS")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--embed", type=Path, help=".npy file of shape (windows, samples), 125 Hz")
    parser.add_argument("--out", type=Path, default=Path("report"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    windows = np.load(options.embed) if options.embed else None

    outcomes: list[Outcome] = []
    with Client(options.url) as client:
        for wanted in options.job:
            dataset, preset, epochs = wanted.split(":")
            config: dict[str, Any] = {}
            for override in [*options.overrides, f"training.epochs={epochs}"]:
                config = merge(config, parse_override(override))
            outcomes.append(run_job(client, dataset, preset, config, windows, options.out))
            (options.out / "table.md").write_text(table(outcomes), encoding="utf-8")
            draw(outcomes, options.out / "loss-curves.png")
    console.print(table(outcomes))


def run_job(
    client: Client,
    dataset: str,
    preset: str,
    config: dict[str, Any],
    windows: np.ndarray | None,
    out: Path,
) -> Outcome:
    """Submit, wait, download, embed."""
    job = client.submit(
        dataset,
        preset=preset,
        config=config,
        idempotency_key=f"{dataset}:{preset}:{json.dumps(config, sort_keys=True)}",
    )
    with console.status(f"{dataset} ({preset}): {job.id}"):
        job = client.wait(job.id)
    if job.status != "succeeded" or job.progress is None:
        raise SystemExit(f"{dataset}: job {job.id} {job.status}: {job.error}")
    client.download(job.id, out / dataset)
    started = time.perf_counter()
    if windows is not None:
        client.embed(windows, fs_hz=125.0, model=job.id)
    embed_ms = 1e3 * (time.perf_counter() - started) / (1 if windows is None else len(windows))
    lines = " ".join(line.text for line in client.logs(job.id))
    peaks = [int(peak) for peak in PEAK_MEMORY.findall(lines)]
    assert job.started_at is not None
    assert job.finished_at is not None
    return Outcome(
        dataset=dataset,
        job=job,
        points=list(client.losses(job.id)),
        train_seconds=(job.finished_at - job.started_at).total_seconds(),
        peak_memory_mb=max(peaks, default=0),
        embed_ms=embed_ms,
    )


def table(outcomes: list[Outcome]) -> str:
    """The figures of every job, as Markdown."""
    lines = [
        "| dataset | steps | minutes | windows/s | val loss | explained variance "
        "| effective rank | peak memory | embed, ms a window |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        progress, val = outcome.job.progress, outcome.last_val
        assert progress is not None
        cells = [
            outcome.dataset,
            progress.step,
            f"{outcome.train_seconds / 60:.1f}",
            f"{outcome.windows_per_s:.1f}",
            f"{val['total']:.3f}",
            f"{val['explained_variance']:.3f}",
            f"{val['effective_rank']:.0f}",
            f"{outcome.peak_memory_mb} MB",
            f"{outcome.embed_ms:.0f}",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def draw(outcomes: list[Outcome], path: Path) -> None:
    """Training and validation loss of every job, side by side."""
    columns = min(3, len(outcomes))
    rows = -(-len(outcomes) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3.2 * rows), layout="constrained", squeeze=False
    )
    for axis, outcome in zip(axes.flat, outcomes, strict=False):
        for split, style in CURVES.items():
            points = [point for point in outcome.points if point.split == split]
            steps, losses = zip(*((p.step, p.values["total"]) for p in points), strict=True)
            axis.plot(steps, losses, label=split, **style)
        axis.axhline(1.0, color="0.3", linestyle=":", linewidth=1)
        axis.set_title(outcome.dataset, loc="left", fontsize=10)
        axis.set_xlabel("step")
        axis.set_ylabel("loss")
    axes.flat[0].legend()
    for axis in axes.flat[len(outcomes) :]:
        axis.set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
