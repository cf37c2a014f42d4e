"""Encoders by name: where each lies, and what its description says without its weights.

A name is looked up for every request, so an alias that moves is followed from the next request on;
a request that has found its encoder keeps it, whatever happens to the alias meanwhile.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from api.encoders import (
    DEFAULT_MODEL,
    FoundEncoder,
    default_encoder_folder,
    find_encoder,
    use_newest,
)
from ppgssl.errors import CheckpointError
from ppgssl.inference.described_encoder import DescribedEncoder
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.models.encoder_info import read_info

REMEMBERED = 256  # descriptions, of some kilobytes each


@dataclass(frozen=True, slots=True)
class KnownEncoder:
    """An encoder's description, and the folder that its weights are loaded from."""

    folder: Path
    encoder: DescribedEncoder


class KnownEncoders:
    """Descriptions of the encoders that names mean.

    Args:
        store: Says which checkpoint a name means.
        settings: Where checkpoints lie.
    """

    def __init__(self, store: JobStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._default: KnownEncoder | None = None
        self._remembered = lru_cache(REMEMBERED)(_read)

    def at_hand(self, model: str) -> KnownEncoder | None:
        """The encoder, where neither a query nor a file is needed for it."""
        return self._default if model == DEFAULT_MODEL else None

    def get(self, model: str) -> KnownEncoder:
        """The encoder that an alias, a job's id or `default` means now.

        Raises:
            ModelNotFoundError: Nothing has this name.
            CheckpointError: Its description is damaged.
        """
        if model == DEFAULT_MODEL:
            self._default = self._default or _read(FoundEncoder(default_encoder_folder()))
            return self._default
        return use_newest(
            lambda: find_encoder(self._store, self._settings, model), self._remembered
        )


def _read(found: FoundEncoder) -> KnownEncoder:
    info = read_info(found.folder)
    if found.sha256 not in (None, info.sha256):
        raise CheckpointError(
            f"{found.folder} holds the encoder {info.sha256[:12]}…, and {found.sha256[:12]}… was "
            "expected; it was replaced"
        )
    return KnownEncoder(found.folder, DescribedEncoder(info))
