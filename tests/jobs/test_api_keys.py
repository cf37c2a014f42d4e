"""API keys in the table, and `ppgssl keys`: hashed, shown once, revoked for good."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from job_clock import Clock
from sqlalchemy import Engine, text
from typer.testing import CliRunner, Result

from ppgssl.cli.keys import app
from ppgssl.errors import ConfigError
from ppgssl.jobs.database import MIGRATIONS, migrate, open_database
from ppgssl.jobs.errors import ApiKeyNotFoundError
from ppgssl.jobs.keys import ApiKeys
from ppgssl.jobs.roles import Role


@pytest.fixture
def keys(engine: Engine, clock: Clock) -> ApiKeys:
    return ApiKeys(engine, clock=clock)


def test_the_database_never_holds_a_key(keys: ApiKeys, engine: Engine):
    created = keys.create("dashboard", Role.READ)

    with engine.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM api_keys")).mappings()
    secret = created.key.removeprefix(created.row.prefix)
    assert row["sha256"] == hashlib.sha256(created.key.encode()).hexdigest()
    assert [name for name, value in row.items() if secret in str(value)] == []
    assert len(secret) >= 37  # characters of 6 bits: 222 bits stay secret


def test_keys_are_listed_in_the_order_of_their_creation(keys: ApiKeys, clock: Clock):
    first = keys.create("first", Role.READ)
    clock.advance(1)
    second = keys.create("second", Role.ADMIN)

    assert [(row.id, row.name, row.role) for row in keys.all()] == [
        (first.row.id, "first", Role.READ),
        (second.row.id, "second", Role.ADMIN),
    ]
    assert first.key != second.key


def test_a_key_stays_revoked_since_the_first_time(keys: ApiKeys, clock: Clock):
    created = keys.create("lost", Role.SUBMIT)
    revoked_at = clock()

    keys.revoke(created.row.id)
    clock.advance(60)
    keys.revoke(created.row.id)

    assert [row.revoked_at for row in keys.all()] == [revoked_at]


def test_a_key_that_does_not_exist_cannot_be_revoked(keys: ApiKeys):
    with pytest.raises(ApiKeyNotFoundError, match="no key has the id 'key_1'; `ppgssl keys list`"):
        keys.revoke("key_1")


def test_use_is_noted_once_in_five_minutes(keys: ApiKeys, clock: Clock):
    key_id = keys.create("busy", Role.READ).row.id
    began = clock()
    seen = []

    for _ in range(3):
        keys.note_use(key_id)
        seen.append(keys.all()[0].last_used_at)
        clock.advance(160)

    assert seen == [began, began, began + timedelta(seconds=320)]


@pytest.mark.parametrize("name", ["", "two\nlines", "n" * 121, "nul\0"])
def test_a_name_is_one_line_of_text(keys: ApiKeys, name: str):
    with pytest.raises(ConfigError, match="cannot name a key; give one line of 1 to 120"):
        keys.create(name, Role.READ)


@pytest.mark.parametrize(
    ("role", "covered"),
    [
        (Role.READ, [Role.READ]),
        (Role.SUBMIT, [Role.READ, Role.SUBMIT]),
        (Role.ADMIN, [Role.READ, Role.SUBMIT, Role.ADMIN]),
    ],
)
def test_a_role_covers_those_before_it(role: Role, covered: list[Role]):
    assert [needed for needed in Role if role.covers(needed)] == covered


def test_keys_of_the_first_revision_that_had_them_survive_an_upgrade(database_url: str):
    engine = open_database(database_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(
            text(
                "INSERT INTO api_keys (id, name, role, sha256, prefix, created_at) "
                "VALUES ('key_1', 'old', 'submit', 'ab', 'ppgssl_', '2026-01-01 00:00:00+00:00')"
            )
        )

    migrate(engine)

    assert [(row.id, row.role) for row in ApiKeys(engine).all()] == [("key_1", Role.SUBMIT)]
    engine.dispose()


# ----------------------------------------------------------------------------------- command line


@pytest.fixture(autouse=True)
def _artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPGSSL_ARTIFACT_ROOT", str(tmp_path))
    monkeypatch.delenv("PPGSSL_DATABASE_URL", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_key_is_printed_alone_on_stdout_and_never_again():
    created = run("create", "--name", "ci [x]", "--role", "submit")
    listed, as_json = run("list"), run("list", "--json")

    key = created.stdout.strip()
    assert created.exit_code == 0
    assert key.startswith("ppgssl_")
    assert "not shown again" in created.stderr
    assert "ci [x]" in listed.stdout
    assert json.loads(as_json.stdout)[0]["role"] == "submit"
    assert key not in listed.output + as_json.output


def test_a_key_is_created_and_revoked_as_json():
    created = json.loads(run("create", "--name", "ci", "--role", "admin", "--json").stdout)

    revoked = json.loads(run("revoke", created["id"], "--json").stdout)

    assert created["key"].startswith(created["prefix"])
    assert created["revoked_at"] is None
    assert revoked["revoked_at"] is not None
    assert "key" not in revoked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revoke", "key_1"), "no key has the id 'key_1'"),
        (("create", "--name", "x", "--role", "king"), "'king' is not one of"),
        (("create", "--name", "", "--role", "read"), "cannot name a key"),
    ],
)
def test_what_cannot_be_done_is_bad_usage(arguments: tuple[str, ...], message: str):
    result = run(*arguments)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_database_that_is_away_is_a_failure_in_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PPGSSL_DATABASE_URL", "postgresql://me:tell-nobody@127.0.0.1:1/jobs")

    result = run("list")

    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr.splitlines()[-1]
    assert "tell-nobody" not in result.output
