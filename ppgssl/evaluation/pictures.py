"""An evaluation's pictures: scores, few people's labels, corruptions, predicted against true.

One file each, with one panel per label. Drawn off screen: no display and no global state is needed.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ppgssl.evaluation.results import ENCODER, MEAN, Evaluation, LabelReport
from ppgssl.evaluation.scores import Score

DPI = 110
COLUMNS = 3
PANEL_INCHES = (4.6, 3.4)
CHANCE_AUROC = 0.5
CHANCE_LINE: Any = {"color": "#6b7280", "linewidth": 1, "linestyle": ":"}
SIDE_BY_SIDE = 1.05  # between neighbours on a logarithmic axis
MOST_POINTS = 3000  # of a scatter: more hide each other

ENCODER_COLOUR = "#c2410c"
COLOURS = {ENCODER: ENCODER_COLOUR, "log_spectrum": "#1d4ed8", MEAN: "#6b7280"}
OTHER_COLOUR = "#0f766e"

METRIC_NAMES = {"mae": "mean absolute error", "auroc": "AUROC"}

Panel = Callable[[Axes, LabelReport], None]


def draw_pictures(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Draw what there is to draw into a folder; return the files."""
    reports = evaluation.labels
    pictures: list[tuple[str, Panel, Sequence[LabelReport]]] = [
        ("scores.png", _draw_scores, reports),
        ("label-efficiency.png", _draw_efficiency, [r for r in reports if r.label_efficiency]),
        ("robustness.png", _draw_robustness, [r for r in reports if r.robustness]),
        ("predictions.png", _draw_predictions, reports),
    ]
    return [_draw(folder / name, panel, shown) for name, panel, shown in pictures if shown]


def _draw(path: Path, panel: Panel, reports: Sequence[LabelReport]) -> Path:
    columns = min(COLUMNS, len(reports))
    rows = math.ceil(len(reports) / columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, report in zip(grid, reports, strict=False):
        axes.set_title(report.label, fontsize=11, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        panel(axes, report)
    for axes in grid[len(reports) :]:
        axes.set_axis_off()
    canvas.print_png(path, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return path


def _draw_scores(axes: Axes, report: LabelReport) -> None:
    """Best on top: a dot and its interval per representation."""
    metric = report.comparison.metric
    sign = -1 if metric == "auroc" else 1
    ordered = sorted(report.scores, key=lambda name: sign * report.scores[name][metric].value)
    for place, name in enumerate(ordered):
        found = report.scores[name][metric]
        axes.errorbar(found.value, place, xerr=_reach(found), fmt="o", **_style(name))
    axes.set_yticks(range(len(ordered)), ordered)
    axes.get_yticklabels()[ordered.index(ENCODER)].set_fontweight("bold")
    axes.invert_yaxis()
    if metric == "auroc":
        axes.axvline(CHANCE_AUROC, **CHANCE_LINE)
    axes.set_xlabel(f"{METRIC_NAMES[metric]}, 95 % interval", fontsize=9)
    axes.grid(axis="x", alpha=0.25)


def _draw_efficiency(axes: Axes, report: LabelReport) -> None:
    """Score over the number of people; levels of as many people are one point.

    Representations stand side by side, or their intervals would hide each other.
    """
    points = report.label_efficiency
    names = list(dict.fromkeys(point.representation for point in points))
    for place, name in enumerate(names):
        own = {point.people: point.score for point in points if point.representation == name}
        reach = np.hstack([_reach(found) for found in own.values()])
        values = [found.value for found in own.values()]
        at = np.array(list(own)) * SIDE_BY_SIDE ** (place - (len(names) - 1) / 2)
        axes.errorbar(at, values, yerr=reach, fmt="o-", label=name, **_style(name))
    people = sorted({point.people for point in points})
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(people, [f"{count:.3g}" for count in people])
    axes.set_xlabel("people to learn from", fontsize=9)
    axes.set_ylabel(METRIC_NAMES[points[0].metric], fontsize=9)
    axes.grid(alpha=0.25)
    if points[0].metric == "auroc":
        axes.axhline(CHANCE_AUROC, **CHANCE_LINE)
    _add_legend(axes, len(names))


def _draw_robustness(axes: Axes, report: LabelReport) -> None:
    """Bars per condition, clean ones first; a line where the clean score is."""
    points = report.robustness
    metric = points[0].metric
    names = list(dict.fromkeys(point.representation for point in points))
    conditions = ["clean", *dict.fromkeys(point.condition for point in points)]
    height = 0.8 / len(names)
    for place, name in enumerate(names):
        clean = report.scores[name][metric]
        found = [clean, *(point.score for point in points if point.representation == name)]
        at = np.arange(len(conditions)) + (place - (len(names) - 1) / 2) * height
        reach = np.hstack([_reach(one) for one in found])
        colour = COLOURS.get(name, OTHER_COLOUR)
        values = [one.value for one in found]
        bars: Any = {"xerr": reach, "error_kw": {"elinewidth": 1, "ecolor": "#111827"}}
        axes.barh(at, values, height, color=colour, alpha=0.75, label=name, **bars)
        axes.axvline(clean.value, color=colour, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(conditions)), conditions)
    axes.invert_yaxis()
    axes.set_xlabel(METRIC_NAMES[metric], fontsize=9)
    _add_legend(axes, len(names))


def _draw_predictions(axes: Axes, report: LabelReport) -> None:
    if report.classes:
        _draw_confusion(axes, report)
    else:
        _draw_scatter(axes, report)


def _draw_scatter(axes: Axes, report: LabelReport) -> None:
    step = math.ceil(report.windows / MOST_POINTS)
    true, predicted = report.held_out.true[::step], report.held_out.predicted[::step]
    axes.plot(true, predicted, ".", markersize=2.5, alpha=0.35, color=ENCODER_COLOUR)
    ends = [
        float(np.min([true.min(), predicted.min()])),
        float(np.max([true.max(), predicted.max()])),
    ]
    axes.plot(ends, ends, color="#111827", linewidth=1)
    axes.set_xlabel("true", fontsize=9)
    axes.set_ylabel("predicted by the encoder's probe", fontsize=9)
    axes.grid(alpha=0.25)


def _draw_confusion(axes: Axes, report: LabelReport) -> None:
    """Share of each class's windows that are given each class."""
    count = len(report.classes)
    table = np.zeros((count, count))
    np.add.at(table, (report.held_out.true, report.held_out.predicted.argmax(axis=1)), 1)
    shares = table / table.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        shade = "white" if share > 0.6 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8, color=shade)
    axes.set_xticks(range(count), report.classes, rotation=25 if count > 3 else 0)
    axes.set_yticks(range(count), report.classes)
    axes.set_xlabel("given by the encoder's probe", fontsize=9)
    axes.set_ylabel("true", fontsize=9)


def _add_legend(axes: Axes, columns: int) -> None:
    """Below the panel, where it hides nothing."""
    axes.legend(
        fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns
    )


def _reach(score: Score) -> np.ndarray:
    """How far the interval reaches below and above the value, as a column for `errorbar`."""
    reach = [score.value - score.low, score.high - score.value]
    return np.maximum(reach, 0.0)[:, None]


def _style(name: str) -> Any:
    return {
        "color": COLOURS.get(name, OTHER_COLOUR),
        "capsize": 2,
        "markersize": 5,
        "linewidth": 1.3,
    }
