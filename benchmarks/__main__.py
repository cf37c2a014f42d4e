"""`make bench`: everything in one run, one table, and what it was measured on.

python -m benchmarks [NAME ...] [--out FILE]

NAME picks from: encoder, training, loader, preparation, bulk, distributed, service, peers. All by
default.
"""

import argparse
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.table import print_table, progress
from benchmarks.timing import Figure

NAMES = ("encoder", "training", "loader", "preparation", "bulk", "distributed", "service", "peers")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *NAMES])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print_table(measure(options.names or NAMES), options.out)


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """One part after the other."""
    for name in names:
        progress.rule(name)
        yield from importlib.import_module(f"benchmarks.{name}").measure()


if __name__ == "__main__":
    main()
