"""docs/security.md names a test for every threat; a name that nothing has is a defect."""

import pytest
from named_tests import missing, rows_of

THREATS = rows_of("security.md", "Threats")


def test_there_are_threats():
    assert len(THREATS) > 20


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row.split("|")[1].strip())
def test_each_threat_has_what_holds_it_and_tests_that_exist(row: str):
    _, _, holds, tests, _ = row.split("|")

    assert holds.strip()
    assert missing(tests) == []
