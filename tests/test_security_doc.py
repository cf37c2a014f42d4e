"""docs/security.md names a test for every threat; a name that nothing has is a defect."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = [
    line
    for line in PAGE.partition("\n## Threats\n")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| threat |")
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_there_are_threats():
    assert len(THREATS) > 20


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row.split("|")[1].strip())
def test_each_threat_has_what_holds_it_and_tests_that_exist(row: str):
    _, _, holds, tests, _ = row.split("|")
    named = NAMED.findall(tests)

    assert holds.strip()
    assert named
    assert tests.count("::") == len(named)
    assert [
        f"{file}::{name}" for file, name in named if name not in names_of_tests(ROOT / file)
    ] == []


def names_of_tests(file: Path) -> set[str]:
    """Names of the test functions in a file, none where there is no file."""
    if not file.exists():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
