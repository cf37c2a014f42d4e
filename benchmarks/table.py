"""Figures as they come, and as one table in Markdown with the machine above it."""

import platform
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.timing import Figure

progress = Console(stderr=True, soft_wrap=True)


def print_table(figures: Iterable[Figure], out: Path | None) -> None:
    """Tell of each figure on stderr when it is there; the table on stdout, and to a file."""
    lines = [*heading()]
    for figure in figures:
        lines.append(row(figure))
        progress.print(lines[-1], highlight=False)
    text = "\n".join(lines)
    print(text)  # noqa: T201
    if out is not None:
        out.write_text(text + "\n")


def heading() -> Iterator[str]:
    """What it was measured on, and the columns."""
    yield f"{machine()}; {datetime.now(UTC):%Y-%m-%d}."
    yield ""
    yield "| | measured | goal | |"
    yield "|---|---|---|---|"


def row(figure: Figure) -> str:
    """One line."""
    value = "not measured" if figure.value is None else f"{figure.value:.3g} {figure.unit}".strip()
    return f"| {figure.name} | {value} | {figure.goal} | {figure.note} |"


def machine() -> str:
    """Processor or GPU, threads and versions, as a sentence's beginning."""
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, {versions}"
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor()
    return f"{processor}, {torch.get_num_threads()} threads, {versions}"
