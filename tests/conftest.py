"""Shared by every test: array shapes are checked, and real recordings are found or skipped."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook(
    ["ppgssl.signal", "ppgssl.models", "ppgssl.losses", "ppgssl.augment", "ppgssl.training"],
    "shape_checker.check",
)

pytest_plugins = ["databases"]

DEFAULT_RECORDINGS = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings (BIDMC, CinC 2015, Stress-Predict)."""
    folder = Path(os.environ.get("PPGSSL_TEST_RECORDINGS", DEFAULT_RECORDINGS))
    if not (folder / "bidmc.parquet").is_file():
        pytest.skip(f"no recordings in {folder}; set PPGSSL_TEST_RECORDINGS to their folder")
    return folder


@pytest.fixture(scope="session")
def make_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes run folders of untrained encoders of 10 s windows at 125 Hz, with overrides."""
    import torch

    from ppgssl.config import load_config
    from ppgssl.models.autoencoder import build_autoencoder
    from ppgssl.training.checkpoint import serialise, write_checkpoint
    from ppgssl.training.history import History

    def make(*overrides: str) -> Path:
        size = ["data.window_seconds=10", "model.base_filters=4", "model.max_filters=16"]
        config = load_config("small", [*size, *overrides])
        torch.manual_seed(0)
        model = build_autoencoder(config)
        files = serialise(model, config, History(), {}, preprocessing={}, training={})
        run = tmp_path_factory.mktemp("encoder") / "run"
        write_checkpoint(run, 0, files, ["best", "last"])
        return run

    return make


@pytest.fixture(scope="session")
def encoder_folder(make_encoder: Callable[..., Path]) -> Path:
    """A run folder of an untrained encoder with segments of 2 s."""
    return make_encoder("model.segment_seconds=2")
