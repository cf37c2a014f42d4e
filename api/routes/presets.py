"""The presets that a job's config can be laid over."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.paging import PageRead, page_of
from ppgssl.config import build_config, preset, preset_names

router = APIRouter(prefix="/presets", tags=["jobs"])


class PresetRead(BaseModel):
    """A preset and what it makes of the defaults."""

    name: str
    config: dict[str, Any]


@router.get("")
def list_presets() -> PageRead[PresetRead]:
    """All presets, by name; there are few."""
    shown = [
        PresetRead(name=name, config=build_config(preset(name)).model_dump(mode="json"))
        for name in preset_names()
    ]
    return page_of(shown, has_more=False, cursor=None)
