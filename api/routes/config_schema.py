"""What a training config may say: its JSON schema, with every default and description."""

from typing import Any

from fastapi import APIRouter

from ppgssl.config import Config

router = APIRouter(prefix="/config-schema", tags=["jobs"])


@router.get("")
def read_config_schema() -> dict[str, Any]:
    """The JSON schema of a training job's config; `default` of each section holds all of it."""
    return Config.model_json_schema()
