"""The encoders in memory: found by name, loaded when first asked for, kept while there is room.

A name is looked up for every request, so an alias that moves is followed from the next request on;
a request that has its encoder keeps it, whatever happens to the alias or in here meanwhile.
"""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from api.encoders import DEFAULT_MODEL, FoundEncoder, find_encoder, use_newest
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore

if TYPE_CHECKING:
    from ppgssl.inference.encoder import PpgEncoder


class LoadedEncoders:
    """Encoders by the sha256 of their weights; those not used for longest leave first.

    Args:
        store: Says which checkpoint a name means.
        settings: Where checkpoints lie, the device, and how much memory encoders may take.
    """

    def __init__(self, store: JobStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._kept: OrderedDict[str, PpgEncoder] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one at a time: two requests must not load one twice

    def at_hand(self, model: str) -> "PpgEncoder | None":
        """The encoder, where neither a query nor a file is needed for it."""
        return self._look_up(DEFAULT_MODEL) if model == DEFAULT_MODEL else None

    def get(self, model: str) -> "PpgEncoder":
        """The encoder that an alias, a job's id or `default` means now.

        Raises:
            ModelNotFoundError: Nothing has this name.
            CheckpointError: The encoder is damaged.
        """
        return use_newest(lambda: find_encoder(self._store, self._settings, model), self._of)

    def _of(self, found: FoundEncoder) -> "PpgEncoder":
        key = found.sha256 or DEFAULT_MODEL
        kept = self._look_up(key)
        if kept is not None:
            return kept
        with self._loading:
            return self._look_up(key) or self._load(key, found)

    def _look_up(self, key: str) -> "PpgEncoder | None":
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _load(self, key: str, found: FoundEncoder) -> "PpgEncoder":
        from ppgssl.inference.encoder import load_encoder
        from ppgssl.training.devices import resolve_device

        encoder = load_encoder(found.folder, str(resolve_device(self._settings.device)))
        with self._lock:
            self._kept[key] = encoder
            self._make_room()
        return encoder

    def _make_room(self) -> None:
        """Let go of the least recently used; the last one stays, however large."""
        while len(self._kept) > 1 and self._num_bytes() > self._settings.encoder_cache_bytes:
            self._kept.popitem(last=False)

    def _num_bytes(self) -> int:
        return sum(encoder.num_bytes for encoder in self._kept.values())
