"""The encoders in memory: loaded when first asked for, kept while there is room."""

import threading
from collections import OrderedDict

from ppgssl.errors import CheckpointError, DeviceError
from ppgssl.inference.encoder import PpgEncoder, load_encoder, num_lanes
from ppgssl.training.devices import resolve_device


class LoadedEncoders:
    """Encoders by the sha256 of their weights; those not used for longest leave first.

    Args:
        device: Where they compute: `auto`, `cpu`, `cuda` or `cuda:N`.
        cache_bytes: How much memory they may take; the last one used stays, however large.
    """

    def __init__(self, device: str, cache_bytes: int) -> None:
        self._device = device
        self._cache_bytes = cache_bytes
        self._kept: OrderedDict[str, PpgEncoder] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def num_lanes(self) -> int:
        """How many passes their device computes well side by side."""
        try:
            device = resolve_device(self._device)
        except DeviceError:  # whoever asks for an encoder is told
            return 1
        return num_lanes(device)

    def at_hand(self, sha256: str) -> PpgEncoder | None:
        """The encoder of these weights, where it is in memory."""
        with self._lock:
            if sha256 in self._kept:
                self._kept.move_to_end(sha256)
            return self._kept.get(sha256)

    def load(self, folder: str, sha256: str) -> PpgEncoder:
        """The encoder of these weights, from this folder where it is not in memory.

        Called by one thread at a time: two requests must not load one twice.

        Raises:
            CheckpointError: It is damaged, or the folder holds another one by now.
            DeviceError: This machine does not have the device.
        """
        return self.at_hand(sha256) or self._load(folder, sha256)

    def _load(self, folder: str, sha256: str) -> PpgEncoder:
        encoder = load_encoder(folder, str(resolve_device(self._device)))
        if encoder.info.sha256 != sha256:
            raise CheckpointError(f"{folder} holds another encoder by now; ask again")
        with self._lock:
            self._kept[sha256] = encoder
            self._make_room()
        return encoder

    def _make_room(self) -> None:
        while len(self._kept) > 1 and self._num_bytes() > self._cache_bytes:
            self._kept.popitem(last=False)

    def _num_bytes(self) -> int:
        return sum(encoder.num_bytes for encoder in self._kept.values())
