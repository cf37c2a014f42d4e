"""Tests that a page of the documentation names in its tables."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows_of(page: str, heading: str) -> list[str]:
    """Rows of the table below a heading of a page in docs/, without its head."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def missing(cell: str) -> list[str]:
    """What a cell names that is no test; an unreadable name is one of them."""
    named = NAMED.findall(cell)
    if not named or cell.count("::") != len(named):
        return [cell]
    return [f"{file}::{name}" for file, name in named if name not in _tests_in(ROOT / file)]


def _tests_in(file: Path) -> set[str]:
    if not file.exists():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
