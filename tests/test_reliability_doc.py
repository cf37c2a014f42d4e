"""docs/reliability.md names a test for all that breaks; a name that nothing has is a defect."""

import pytest
from named_tests import missing, rows_of

FAULTS = [
    *rows_of("reliability.md", "What breaks"),
    *rows_of("reliability.md", "What always holds"),
]


def test_there_are_faults():
    assert len(FAULTS) > 20


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.split("|")[1].strip())
def test_each_fault_has_what_holds_and_tests_that_exist(row: str):
    _, _, holds, tests, _ = row.split("|")

    assert holds.strip()
    assert missing(tests) == []
