"""An evaluation as files: `report.json` for programs, `report.md` for people, and pictures.

Nothing is computed here; a report says what `evaluate` found, also when that is nothing good.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ppgssl.evaluation.label_efficiency import EfficiencyPoint
from ppgssl.evaluation.pictures import draw_pictures
from ppgssl.evaluation.results import ENCODER, EncoderFacts, Evaluation, LabelReport
from ppgssl.evaluation.robustness import RobustnessPoint
from ppgssl.evaluation.scores import Score

JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"

METRICS = {
    "mae": "mean absolute error",
    "pearson_r": "Pearson's r",
    "auroc": "AUROC",
    "balanced_accuracy": "balanced accuracy",
}
NOTHING_READ = "; nothing was read from them, as they are not clearly better than the mean"
EXPLANATION = """\
The encoder is frozen. Each representation has a linear probe of its own (ridge regression for
numbers, logistic regression for classes), fitted on the training folds and tested on people that it
has not seen. All are tested on the same windows and the same folds. Behind each score stands its
95 % interval: the bootstrap draws people, not windows. For the mean absolute error less is better,
for all other scores more. A correlation below 0 is what a probe gives that has read nothing: the
mean of the others is high where those who are tested are low.
"""


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the report into a folder, which is made where it is missing; return its files."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = draw_pictures(evaluation, folder)
    data, text = folder / JSON_FILE, folder / MARKDOWN_FILE
    data.write_text(json.dumps(evaluation.to_json(), indent=2, allow_nan=False) + "\n")
    text.write_text(markdown(evaluation, [picture.name for picture in pictures]), encoding="utf-8")
    return [data, text, *pictures]


def markdown(evaluation: Evaluation, pictures: Sequence[str] = ()) -> str:
    """The report as a person reads it; pictures are shown by their file names."""
    parts = [
        "# What the embeddings are worth",
        "\n".join(f"- {line}" for line in _facts(evaluation)),
        "\n".join(f"- **{report.label}**: {conclusion(report)}" for report in evaluation.labels),
        EXPLANATION.strip(),
        *(_label_section(report) for report in evaluation.labels),
    ]
    if pictures:
        parts += ["## Pictures", "\n".join(f"![{_alt(name)}]({name})" for name in pictures)]
    return "\n\n".join(parts) + "\n"


def conclusion(report: LabelReport) -> str:
    """One sentence: what the embeddings are worth for this label beside the best reference."""
    comparison = report.comparison
    own = report.scores[ENCODER][comparison.metric]
    other = report.scores[comparison.reference][comparison.metric]
    against = {
        "better": "the embeddings are clearly better than",
        "worse": "the embeddings are clearly worse than",
        "no clear difference": "the embeddings are not clearly different from",
    }[comparison.verdict]
    return (
        f"{against} the best of the others, {comparison.reference}: {METRICS[comparison.metric]} "
        f"{_text(own)} against {_text(other)}, a difference of {_text(comparison.difference)}"
        f"{'' if report.over_mean.verdict == 'better' else NOTHING_READ}."
    )


def _facts(evaluation: Evaluation) -> Iterator[str]:
    data = evaluation.data
    yield (
        f"Data: {data.name}, {data.windows} windows of {data.window_seconds:g} s at "
        f"{data.fs_hz:g} Hz from {data.subjects} people"
    )
    if data.refused:
        yield f"Left out: {data.refused} windows that are flat, too short or not finite"
    yield _encoder_fact("Encoder", evaluation.encoder)
    for name, facts in evaluation.beside.items():
        yield _encoder_fact(f"Beside it, {name}", facts)
    for missing in evaluation.missing:
        yield f"Missing: {missing}"
    yield f"Seed: {evaluation.settings.seed}"


def _encoder_fact(name: str, facts: EncoderFacts) -> str:
    return (
        f"{name}: sha256 `{facts.sha256}`, {facts.embedding_dim} dimensions, effective rank "
        f"{facts.effective_rank:.1f} on this data"
    )


def _label_section(report: LabelReport) -> str:
    kind = f"one of {', '.join(report.classes)}" if report.classes else "a number"
    alone = f" Left out, as a single person has it: {', '.join(report.left_out)}."
    parts = [
        f"## {report.label}",
        f"{report.windows} windows of {report.subjects} people, {len(report.folds)} folds; {kind}."
        f"{alone if report.left_out else ''}",
        _score_table(report),
    ]
    if report.label_efficiency:
        parts += [
            f"Labels of few people ({METRICS[report.label_efficiency[0].metric]}):",
            _efficiency_table(report.label_efficiency),
        ]
    if report.robustness:
        parts += [
            f"Corrupted windows ({METRICS[report.robustness[0].metric]}, and its ratio to the "
            "clean one), probe fitted on clean ones:",
            _robustness_table(report.robustness),
        ]
    return "\n\n".join(parts)


def _score_table(report: LabelReport) -> str:
    metrics = list(report.scores[ENCODER])
    rows = [
        [name, *(_text(scores[metric]) for metric in metrics)]
        for name, scores in report.scores.items()
    ]
    return _table(["representation", *(METRICS[metric] for metric in metrics)], rows)


def _efficiency_table(points: Sequence[EfficiencyPoint]) -> str:
    cells = {(point.level, point.representation): _text(point.score) for point in points}
    return _crossed("people to learn from", cells)


def _robustness_table(points: Sequence[RobustnessPoint]) -> str:
    cells = {
        (point.condition, point.representation): (
            f"{_text(point.score)}, {point.ratio_to_clean:.2f} x"
        )
        for point in points
    }
    return _crossed("condition", cells)


def _crossed(corner: str, cells: dict[tuple[str, str], str]) -> str:
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    body = [[row, *(cells.get((row, column), "") for column in columns)] for row in rows]
    return _table([corner, *columns], body)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(score: Score) -> str:
    return f"{score.value:.3g} ({score.low:.3g} to {score.high:.3g})"


def _alt(name: str) -> str:
    return Path(name).stem.replace("-", " ").replace("_", " ")
