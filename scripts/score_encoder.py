"""The figures of the model card: encoders on BIDMC, which their pretraining has never seen.

    python scripts/score_encoder.py RUN... --recordings DIR --drawn RUN --out docs/default_encoder

DIR holds `bidmc.parquet`. Each RUN is the folder of a training run of another seed; `--drawn` names
one of the reference as drawn (`configs/as_drawn.yaml`). Writes a report of the first one beside all
references, at 10 s and at 60 s (JSON, Markdown and pictures), and `figures.json` and `figures.md`
with every seed's figures and their mean.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import load_file

from ppgssl.data.cutting import PrepareSettings
from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.data.prepare import prepare
from ppgssl.data.recordings import find_recordings
from ppgssl.data.schema import SPLITS
from ppgssl.evaluation.evaluate import evaluate
from ppgssl.evaluation.labelled import collect
from ppgssl.evaluation.report import write_report
from ppgssl.evaluation.results import ENCODER, Evaluation, LabelReport
from ppgssl.evaluation.settings import EvaluationSettings
from ppgssl.inference.encoder import load_encoder
from ppgssl.losses import explained_variance
from ppgssl.models.autoencoder import Autoencoder, build_autoencoder
from ppgssl.training.checkpoint import MODEL_FILE, read_config
from ppgssl.training.validation import to_device

SHORT, MINUTE, LONG = "10 s windows", "60 s windows every 30 s", "8-minute windows"
CUTS = {SHORT: (10.0, None), MINUTE: (60.0, 30.0), LONG: (480.0, None)}
PROBED = {
    SHORT: EvaluationSettings(),
    MINUTE: EvaluationSettings(labels=("resp_bpm", "hr_bpm"), robustness=False),
}
BATCH_SAMPLES = 120_000

console = Console(stderr=True)
Figures = dict[str, float]


def main() -> None:
    """Score every run, and write reports and tables."""
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        data = {name: cut(options.recordings, Path(scratch), name) for name in CUTS}
        figures: dict[str, Figures] = {}
        for run in options.runs:
            console.print(f"scoring {run}")
            is_first = run == options.runs[0]
            beside = {"as_drawn": options.drawn} if is_first and options.drawn else {}
            short, minute = (
                examine(run, data[name], how.model_copy(update={"references": is_first}), beside)
                for name, how in PROBED.items()
            )
            figures[run.name] = figures_of(short, minute) | {
                f"explained variance, {name}": reconstruct(run, data[name])
                for name in (SHORT, LONG)
            }
            if is_first:
                write_report(short, options.out / "bidmc-10s")
                write_report(minute, options.out / "bidmc-60s")
    figures["mean"] = {
        name: float(np.mean([found[name] for found in figures.values()]))
        for name in next(iter(figures.values()))
    }
    (options.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    (options.out / "figures.md").write_text(table(figures))
    console.print(table(figures))


def cut(recordings: Path, scratch: Path, name: str) -> Dataset:
    """BIDMC at one window length."""
    window_s, hop_s = CUTS[name]
    settings = PrepareSettings(window_seconds=window_s, hop_seconds=hop_s, fs_hz=125.0)
    folder = scratch / name
    refs = find_recordings([recordings / "bidmc.parquet"]).refs
    prepare(refs, folder, settings, workers=1, progress=lambda _: None)
    return open_dataset(folder)


def examine(
    run: Path, dataset: Dataset, settings: EvaluationSettings, beside: dict[str, Path]
) -> Evaluation:
    """Probes of a frozen encoder beside the references and other runs."""
    others = {name: load_encoder(other) for name, other in beside.items()}
    return evaluate(load_encoder(run), collect(dataset), settings, beside=others)


def figures_of(short: Evaluation, minute: Evaluation) -> Figures:
    """The figures that the project holds itself to, by name."""
    heart, breath = label(short, "hr_bpm"), label(minute, "resp_bpm")
    few = {
        representation: next(
            point.score.value
            for point in heart.label_efficiency
            if point.share is None and point.representation == representation
        )
        for representation in (ENCODER, "log_spectrum")
    }
    figures = {
        "HR MAE, bpm": heart.scores[ENCODER]["mae"].value,
        "HR r": heart.scores[ENCODER]["pearson_r"].value,
        "HR MAE, labels of 5 people": few[ENCODER],
        "HR MAE, log-spectrum, all labels": heart.scores["log_spectrum"]["mae"].value,
        "RR MAE, breaths/min": breath.scores[ENCODER]["mae"].value,
        "RR r": breath.scores[ENCODER]["pearson_r"].value,
        "RR MAE, predicting the mean": breath.scores["mean"]["mae"].value,
        "effective rank": short.encoder.effective_rank,
    }
    for point in heart.robustness:
        if point.representation == ENCODER:
            figures[f"HR MAE ratio, {point.condition}"] = point.ratio_to_clean
    return figures


def label(evaluation: Evaluation, name: str) -> LabelReport:
    """The report of one label."""
    return next(report for report in evaluation.labels if report.label == name)


@torch.inference_mode()
def reconstruct(run: Path, dataset: Dataset) -> float:
    """Explained variance of the denoised windows."""
    model = read_model(run)
    error = deviation = 0.0
    for inputs, targets in batches(dataset):
        error += float((model(inputs).output - targets).square().sum())
        deviation += float(targets.square().sum())
    return explained_variance(error, deviation)


def read_model(run: Path) -> Autoencoder:
    """Encoder and decoder of a run's best checkpoint."""
    model = build_autoencoder(read_config(run / "best"))
    model.load_state_dict(load_file(run / "best" / MODEL_FILE))
    return model.eval()


def batches(dataset: Dataset) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All windows and their targets, standardised."""
    for split in SPLITS:
        size = max(1, BATCH_SAMPLES // dataset.window_samples)
        for batch in dataset.split(split).batches(size, seed=None):
            yield to_device(batch, torch.device("cpu"))


def table(figures: dict[str, Figures]) -> str:
    """Figures by run, in Markdown."""
    lines = ["| |" + "".join(f" {run} |" for run in figures), "|---" * (len(figures) + 1) + "|"]
    for name in figures["mean"]:
        lines.append(f"| {name} |" + "".join(f" {f[name]:.3f} |" for f in figures.values()))
    return "\n".join(lines) + "\n"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--drawn", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
