"""Draw the loss and the health figures of finished runs beside each other.

python scripts/draw_health.py runs/as_drawn runs/default --out docs/images/health.png
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq

OUT = Path(__file__).parent.parent / "docs" / "images" / "health.png"
HIGHEST_MSE = 1.6  # drawn; the first steps lie above
PANELS = {
    "explained_variance": "explained variance\n(0: predicts the mean)",
    "effective_rank": "effective rank",
    "uniformity": "uniformity\n(0: all alike)",
    "alignment": "alignment\n(0: neighbours coincide)",
    "hr_probe_mae": "heart rate probe, bpm\n(dashed: predicting the mean)",
}


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="Run folders; their names are shown.")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()

    figure, axes = plt.subplots(2, 3, figsize=(12, 6), layout="constrained")
    for number, run in enumerate(arguments.runs):
        draw_run(run, axes.ravel(), color=f"C{number}")
    axes[0, 0].legend()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=110)


def draw_run(run: Path, axes: np.ndarray, *, color: str) -> None:
    """One run's curves: the reconstruction error by step, then its figures by epoch."""
    points = pq.read_table(run / "last" / "history.parquet").to_pylist()
    train, val = ([p for p in points if p["split"] == split] for split in ("train", "val"))
    axes[0].plot(*curve(train, "step", "mse"), color=color, linewidth=0.6, alpha=0.6)
    axes[0].plot(*curve(val, "step", "mse"), color=color, linewidth=2, label=run.name)
    axes[0].set(title="MSE, training and held out\n(1: predicts the mean)", xlabel="step")
    axes[0].set_ylim(0, HIGHEST_MSE)
    for axis, (name, title) in zip(axes[1:], PANELS.items(), strict=True):
        axis.axhline(0, color="0.85", linewidth=1)
        axis.plot(*curve(val, "epoch", name), "o-", color=color, markersize=3)
        axis.set(title=title, xlabel="epoch")
    axes[-1].plot(*curve(val, "epoch", "hr_mean_mae"), color="0.5", linestyle="--", linewidth=1)


def curve(
    points: list[dict[str, Any]], x: str, name: str
) -> tuple[list[float | None], list[float | None]]:
    """Two columns; a figure that was not measured is a gap."""
    return [point[x] for point in points], [point[name] for point in points]


if __name__ == "__main__":
    main()
