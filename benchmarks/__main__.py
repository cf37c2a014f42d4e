"""`make bench`: everything in one run, one table, and what it was measured on.

python -m benchmarks [NAME ...] [--out FILE]

NAME picks from: encoder, bulk, service, peers. All of them by default.
"""

import argparse
import importlib
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.timing import Figure

NAMES = ("encoder", "bulk", "service", "peers")

console = Console(stderr=True)


def main() -> None:
    """Measure, tell each figure as it comes, and print the table."""
    options = parse_arguments()
    figures: list[Figure] = []
    for name in options.names or NAMES:
        console.rule(name)
        for figure in importlib.import_module(f"benchmarks.{name}").measure():
            console.print(row(figure))
            figures.append(figure)
    text = "\n".join(table(figures))
    print(text)  # noqa: T201
    if options.out is not None:
        options.out.write_text(text + "\n")


def table(figures: list[Figure]) -> Iterator[str]:
    """Markdown, with the machine above."""
    yield f"{machine()}; {datetime.now(UTC):%Y-%m-%d}."
    yield ""
    yield "| | measured | goal | |"
    yield "|---|---|---|---|"
    yield from map(row, figures)


def row(figure: Figure) -> str:
    """One line of the table."""
    value = "not measured" if figure.value is None else f"{figure.value:.3g} {figure.unit}".strip()
    return f"| {figure.name} | {value} | {figure.goal} | {figure.note} |"


def machine() -> str:
    """Processor, cores and versions, as a sentence's beginning."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor()
    return (
        f"{processor}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}"
    )


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
