"""What the compose file and the image promise, read from the files: no engine needed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from api.main import check_access
from ppgssl.errors import ConfigError
from ppgssl.jobs.settings import Settings

ROOT = Path(__file__).parent.parent.parent
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def settings_of_the_container(folder: Path, **shell: str) -> Settings:
    """The API's settings inside its container, with these variables in the shell outside."""
    environment = SERVICES["api"]["environment"]
    assert environment["PPGSSL_PUBLISHED_ADDRESS"] == "${PPGSSL_BIND:-127.0.0.1}"
    assert environment["PPGSSL_API_KEY"] == "${PPGSSL_API_KEY:-}"
    assert "PPGSSL_ALLOW_OPEN_ACCESS" not in environment
    return Settings.model_validate(
        {
            "artifact_root": folder,
            "host": "0.0.0.0",
            "published_address": shell.get("PPGSSL_BIND", "127.0.0.1"),
            "api_key": shell.get("PPGSSL_API_KEY"),
        }
    )


@pytest.mark.parametrize(
    "shell", [{}, {"PPGSSL_BIND": "127.0.0.1"}, {"PPGSSL_BIND": "0.0.0.0", "PPGSSL_API_KEY": "k"}]
)
def test_compose_serves_this_machine_or_those_who_have_a_key(tmp_path: Path, shell: dict[str, str]):
    check_access(settings_of_the_container(tmp_path, **shell))


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.4", "::"])
def test_compose_does_not_publish_an_open_api(tmp_path: Path, address: str):
    with pytest.raises(ConfigError, match=r"PPGSSL_PUBLISHED_ADDRESS: .* it has no key"):
        check_access(settings_of_the_container(tmp_path, PPGSSL_BIND=address))


def test_the_port_is_published_at_the_address_that_the_api_is_told():
    assert SERVICES["api"]["ports"] == ["${PPGSSL_BIND:-127.0.0.1}:${PPGSSL_PORT:-8000}:8000"]
    assert "ports" not in SERVICES["worker"]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_container_can_write_to_its_volumes_and_gain_no_rights(name: str):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "user", "pid", "network_mode"} & service.keys()
    assert service["volumes"] == ["data:/data", "artifacts:/artifacts"]


def test_the_image_runs_as_a_plain_user_and_listens_only_with_a_key_or_a_published_address():
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert "\nUSER 10001:10001\n" in last_stage
    assert "PPGSSL_HOST=0.0.0.0" in last_stage
    assert "PPGSSL_ALLOW_OPEN_ACCESS" not in DOCKERFILE


def test_what_is_kept_can_be_set_from_outside():
    names = [f"PPGSSL_{name.upper()}" for name in Settings.model_fields if name.startswith("keep_")]

    environment = SERVICES["api"]["environment"]

    assert len(names) == 3
    assert {name: environment[name] for name in names} == {name: f"${{{name}:-}}" for name in names}
