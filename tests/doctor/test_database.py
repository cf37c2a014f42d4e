"""The job table's database as it may be found; none of the checks changes it."""

from pathlib import Path

import pytest
from sqlalchemy import text

from ppgssl.doctor.database import check_database, judge_revision
from ppgssl.doctor.findings import Level
from ppgssl.jobs.database import known_revisions, migrate, open_database


def database(folder: Path, revision: str | None = None) -> str:
    """A migrated database, perhaps told to be of another revision."""
    url = f"sqlite:///{folder / 'jobs.sqlite'}"
    engine = open_database(url)
    migrate(engine)
    if revision is not None:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE alembic_version SET version_num = :to"), {"to": revision}
            )
    engine.dispose()
    return url


def test_a_database_of_the_newest_revision_is_in_order(tmp_path: Path):
    finding = check_database(database(tmp_path))

    assert finding.level == Level.OK
    assert known_revisions()[-1] in finding.found


def test_a_database_that_is_not_there_yet_is_in_order_and_is_not_made(tmp_path: Path):
    finding = check_database(f"sqlite:///{tmp_path / 'folder' / 'jobs.sqlite'}")

    assert finding.level == Level.OK
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_cannot_be_made_is_a_problem(tmp_path: Path):
    finding = check_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}", lambda folder: False)

    assert finding.level == Level.PROBLEM


def test_an_older_database_is_a_warning_and_stays_as_old(tmp_path: Path):
    url = database(tmp_path, known_revisions()[0])

    first, second = check_database(url), check_database(url)

    assert first.level == Level.WARNING
    assert "back it up" in first.remedy
    assert first == second


def test_a_database_of_a_newer_version_is_a_problem(tmp_path: Path):
    finding = check_database(database(tmp_path, "9999"))

    assert finding.level == Level.PROBLEM
    assert "revision 9999, newer than" in finding.found
    assert "pip install --upgrade ppgssl" in finding.remedy


def test_an_empty_database_gets_its_tables_from_a_service():
    assert judge_revision("sqlite:///empty", None).level == Level.OK


def test_a_file_that_is_no_database_is_a_problem(tmp_path: Path):
    (tmp_path / "jobs.sqlite").write_text("not a database at all" * 100)

    finding = check_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")

    assert finding.level == Level.PROBLEM
    assert "file is not a database" in finding.found


def test_a_server_that_is_away_is_a_problem_that_does_not_tell_the_password():
    pytest.importorskip("psycopg")

    finding = check_database("postgresql://me:secret@127.0.0.1:1/jobs")

    assert finding.level == Level.PROBLEM
    assert "refused" in finding.found
    assert "secret" not in f"{finding.found}{finding.remedy}"


@pytest.mark.parametrize("url", ["jobs.sqlite", "oracle://host/jobs"])
def test_what_is_no_url_of_a_database_is_a_problem(url: str):
    assert check_database(url).level == Level.PROBLEM
