"""Shared by every test: array shapes are checked, and real recordings are found or skipped."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook(
    ["ppgssl.signal", "ppgssl.models", "ppgssl.losses", "ppgssl.augment", "ppgssl.training"],
    "beartype.beartype",
)

DEFAULT_RECORDINGS = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings (BIDMC, CinC 2015, Stress-Predict)."""
    folder = Path(os.environ.get("PPGSSL_TEST_RECORDINGS", DEFAULT_RECORDINGS))
    if not (folder / "bidmc.parquet").is_file():
        pytest.skip(f"no recordings in {folder}; set PPGSSL_TEST_RECORDINGS to their folder")
    return folder
