"""The encoders of this process: found by name, kept by their sha256, run on one thread.

One thread, because PyTorch already uses all cores for one forward pass; beside the event loop, so
that the API answers while it computes. PyTorch is imported on that thread, with the first request.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from api.encoders import (
    DEFAULT_MODEL,
    FoundEncoder,
    default_encoder_folder,
    find_encoder,
    use_newest,
)
from api.metrics import Metrics
from api.problems import RETRY_AFTER_S, ProblemError
from ppgssl.errors import CheckpointError
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore

if TYPE_CHECKING:
    from ppgssl.inference.encoder import PpgEncoder
    from ppgssl.models.encoder_file import EncoderInfo

KEPT_ENCODERS = 4
MAX_WAITING = 32  # requests; each holds its body in memory
LONGEST_WINDOW_S = 3600.0  # bounds the activations of one window to about 1 GB
LARGEST_SAMPLE = 1e30  # sums over a window stay within float32
SAMPLES_PER_CALL = 2_000_000  # at the encoder's rate: bounds the memory of resampling

Result = TypeVar("Result")
Floats = npt.NDArray[np.float32]
Window = Floats | str
"""Samples, or why there are none."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One window: embedding (D,) and quality from 0 to 1, or why there are none."""

    embedding: Floats | None
    quality: float | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The windows of one request in their order, and the encoder that was used."""

    windows: list[Embedded]
    dim: int
    encoder_sha256: str


@dataclass(frozen=True, slots=True)
class Probe:
    """That an embedding really works: with which encoder, and in what time."""

    model: str
    seconds: float


class Embedder:
    """Embeds windows with any encoder that the service has.

    Args:
        store: Says which checkpoint a name means.
        settings: Where checkpoints lie, and the device.
        metrics: Counts what is done.
    """

    def __init__(self, store: JobStore, settings: Settings, metrics: Metrics) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        self._encoders: OrderedDict[str, PpgEncoder] = OrderedDict()
        self._waiting = 0

    async def embed(self, model: str, windows: Sequence[Window], fs_hz: float | None) -> Answer:
        """Embed windows of any lengths; a bad one does not fail its neighbours.

        Args:
            model: Alias, job id or `default`.
            windows: Samples of each window, or why it could not be read.
            fs_hz: Their sampling rate, Hz; None is the encoder's own.

        Raises:
            ModelNotFoundError: Nothing has this name.
            CheckpointError: The encoder is damaged.
            ProblemError: 503, too many requests wait already.
        """
        return await self._on_thread(lambda: self._embed(model, windows, fs_hz))

    async def probe(self) -> Probe:
        """Embed a made-up window with the default encoder.

        Raises:
            PpgsslError: It does not work.
            ProblemError: 503, too many requests wait already.
        """
        return await self._on_thread(self._probe)

    def default_info(self) -> "EncoderInfo":
        """What is known of the encoder that comes with ppgssl.

        Raises:
            CheckpointError: It is damaged.
        """
        from ppgssl.models.encoder_file import read_info

        return read_info(default_encoder_folder())

    def close(self) -> None:
        """Wait for the request that is being computed; drop those that wait."""
        self._thread.shutdown(cancel_futures=True)

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= MAX_WAITING:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "busy",
                f"{self._waiting} embedding requests wait already; try again",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._waiting += 1
        self._metrics.waiting.inc()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1
            self._metrics.waiting.dec()

    # ------------------------------------------------------------------- on the encoder's thread

    def _embed(self, model: str, windows: Sequence[Window], fs_hz: float | None) -> Answer:
        encoder = self._find(model)
        with self._metrics.embedding_seconds.time():
            embedded = embed_windows(encoder, windows, fs_hz)
        self._metrics.batch_windows.observe(len(windows))
        refused = sum(window.fault is not None for window in embedded)
        self._metrics.refused.inc(refused)
        self._metrics.embedded.inc(len(embedded) - refused)
        return Answer(embedded, encoder.info.embedding_dim, encoder.info.sha256)

    def _probe(self) -> Probe:
        began = time.perf_counter()
        encoder = self._find(DEFAULT_MODEL)
        seconds = np.arange(round(10 * encoder.info.fs_hz)) / encoder.info.fs_hz
        pulse = np.sin(2 * np.pi * 1.2 * seconds).astype(np.float32)  # 72 bpm
        (embedded,) = embed_windows(encoder, [pulse], None)
        if embedded.embedding is None or not np.isfinite(embedded.embedding).all():
            raise CheckpointError(f"the default encoder does not embed: {embedded.fault}")
        return Probe(DEFAULT_MODEL, time.perf_counter() - began)

    def _find(self, model: str) -> "PpgEncoder":
        return use_newest(lambda: find_encoder(self._store, self._settings, model), self._load)

    def _load(self, found: FoundEncoder) -> "PpgEncoder":
        from ppgssl.inference.encoder import load_encoder
        from ppgssl.training.devices import resolve_device

        key = found.sha256 or DEFAULT_MODEL
        if key in self._encoders:
            self._encoders.move_to_end(key)
        else:
            device = str(resolve_device(self._settings.device))
            self._keep(key, load_encoder(found.folder, device))
        return self._encoders[key]

    def _keep(self, key: str, encoder: "PpgEncoder") -> None:
        self._encoders[key] = encoder
        while len(self._encoders) > KEPT_ENCODERS:
            self._encoders.popitem(last=False)


def embed_windows(
    encoder: "PpgEncoder", windows: Sequence[Window], fs_hz: float | None
) -> list[Embedded]:
    """Embed windows of any lengths in their order; each faulty one carries its fault instead."""
    checked = [checked_window(encoder, window, fs_hz) for window in windows]
    embedded = [Embedded(None, None, w if isinstance(w, str) else None) for w in checked]
    sound = {index: w for index, w in enumerate(checked) if not isinstance(w, str)}
    growth = encoder.info.fs_hz / (fs_hz or encoder.info.fs_hz)
    for indices in equal_lengths(sound, round(SAMPLES_PER_CALL / growth)):
        result = encoder.embed(np.stack([sound[index] for index in indices]), fs_hz)
        rows = zip(indices, result.embedding, result.quality, strict=True)
        for index, embedding, quality in rows:
            embedded[index] = Embedded(embedding, float(quality), None)
    return embedded


def checked_window(encoder: "PpgEncoder", window: Window, fs_hz: float | None) -> Window:
    """The window where it can be embedded, else why not."""
    if isinstance(window, str):
        return window
    seconds = len(window) / (fs_hz or encoder.info.fs_hz)
    if seconds > LONGEST_WINDOW_S:
        return f"too long: {seconds:g} s, at most {LONGEST_WINDOW_S:g} s are taken; cut it up"
    if LARGEST_SAMPLE < np.abs(window).max(initial=0.0) < np.inf:
        return (
            f"too large: samples beyond {LARGEST_SAMPLE:g} leave float32's range; scale them down"
        )
    return encoder.find_fault(window, fs_hz) or window


def equal_lengths(windows: Mapping[int, Floats], max_samples: int) -> Iterator[list[int]]:
    """Groups of windows of one length: one window, or as many as `max_samples` allow."""
    by_length: dict[int, list[int]] = {}
    for index, window in windows.items():
        by_length.setdefault(len(window), []).append(index)
    for length, group in by_length.items():
        size = max(1, max_samples // length)
        yield from (group[start : start + size] for start in range(0, len(group), size))
