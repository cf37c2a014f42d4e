"""Where the encoder lies that somebody names. No PyTorch."""

from pathlib import Path

DEFAULT_ENCODER = "default"
DEFAULT_ENCODER_FOLDER = Path(__file__).parent / "default_encoder"


def encoder_path(source: str | Path) -> Path:
    """Where an encoder lies that is named by its path or as `default`."""
    return DEFAULT_ENCODER_FOLDER if str(source) == DEFAULT_ENCODER else Path(source)
