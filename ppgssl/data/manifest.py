"""`dataset.json`: what a dataset folder holds and how it was made.

The file is written last and atomically, so a folder that has one is complete.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgssl.data.schema import SPLITS
from ppgssl.errors import DatasetError

MANIFEST_NAME = "dataset.json"
WORK_FOLDER = ".prepare"  # of a preparation that is not finished
FORMAT_VERSION = 1


class Manifest(BaseModel):
    """The keys of `dataset.json` that readers rely on; more keys are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    format_version: int
    fs_hz: float = Field(gt=0)
    window_samples: int = Field(ge=1)
    counts: dict[str, int]
    preprocessing: dict[str, Any] = {}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a dataset folder.

    Raises:
        DatasetError: It cannot be read, lacks a key, or is of a version that this code does not
            know.
    """
    path = folder / MANIFEST_NAME
    content = _read_json(path)
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format_version is {version!r}, this ppgssl reads {FORMAT_VERSION}; prepare "
            "the recordings again, or use the ppgssl that wrote it"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DatasetError(f"{path}: {key}: {first['msg']}; prepare the dataset again") from error
    unknown = sorted(set(manifest.counts) - set(SPLITS))
    if unknown:
        raise DatasetError(f"{path}: counts: unknown split {unknown[0]!r}; expected {SPLITS}")
    return manifest


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file so that it is there completely or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable JSON file ({error})") from error
