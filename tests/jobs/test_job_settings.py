"""Settings from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ppgssl.errors import ConfigError
from ppgssl.jobs.settings import Settings, load_settings


def test_the_database_lies_in_the_artifact_root_unless_a_url_is_given(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PPGSSL_ARTIFACT_ROOT", "/srv/artifacts")
    monkeypatch.setenv("PPGSSL_DATABASE_URL", "")

    settings = Settings()

    assert settings.database == "sqlite:////srv/artifacts/ppgssl.sqlite"
    assert settings.job_folder("job_1") == Path("/srv/artifacts/jobs/job_1")


def test_every_setting_is_described_for_the_readme():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_heartbeat_that_would_lose_its_own_lease_is_refused():
    with pytest.raises(ValidationError, match=r"heartbeat_seconds \(40\) must be at most half"):
        Settings(lease_seconds=60, heartbeat_seconds=40)


def test_the_api_key_is_not_shown():
    settings = Settings.model_validate({"api_key": "tell-nobody"})

    assert "tell-nobody" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PPGSSL_PORT", "many", "^PPGSSL_PORT: .*valid integer.*, got 'many'$"),
        ("PPGSSL_HEARTBEAT_SECONDS", "50", r"^settings: heartbeat_seconds \(50\) must be"),
    ],
)
def test_an_impossible_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
):
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=message):
        load_settings()
