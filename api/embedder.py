"""From the windows of a request to their embeddings, beside the event loop.

Reading, checking and writing run on a few threads of their own, so that nothing that a request
waits for can hold up the job routes; for a few short windows they take less time than handing them
over would, and run here. Encoders run in a process of their own.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from api.embedding_room import EmbeddingRoom
from api.encoder_process.handle import EncoderProcess
from api.encoder_process.messages import WindowRows
from api.encoders import DEFAULT_MODEL, default_encoder_folder
from api.known_encoders import KnownEncoder, KnownEncoders
from api.metrics import Metrics
from api.problems import ProblemError
from ppgssl.errors import CheckpointError, PpgsslError
from ppgssl.inference.described_encoder import DescribedEncoder
from ppgssl.inference.granularity import Granularity
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from ppgssl.models.encoder_info import EncoderInfo, read_info

log = logging.getLogger(__name__)

LONGEST_WINDOW_S = 3600.0  # bounds the activations of one window to about 1 GB
FEW_WINDOWS, FEW_SAMPLES = 16, 20_000  # checked in less than a millisecond

Floats = npt.NDArray[np.float32]
Window = Floats | str
"""Samples, or why there are none."""
Windows = Floats | Sequence[Window]
"""Windows of one length as an array (N, T), or one by one."""
Parameters = ParamSpec("Parameters")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Group:
    """Sound windows (N, T) of one length, and their places in the request."""

    places: Sequence[int]
    windows: Floats


@dataclass(frozen=True, slots=True)
class Embedded:
    """One window: a row for itself or for each of its segments, or why there are none.

    Attributes:
        start_s: Where in the window its rows begin; of a refused one, where they would.
        rows: Embeddings and quality from 0 to 1.
        fault: Why it was refused.
    """

    start_s: npt.NDArray[np.float64]
    rows: WindowRows | None
    fault: str | None


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        encoder: The one that was used.
        given: The windows as they came.
        fs_hz: Their sampling rate, Hz; None is the encoder's own.
        granularity: What one embedding describes.
        found: Rows of the sound windows, by their places.
        faults: Why the others were refused, by their places.
    """

    encoder: DescribedEncoder
    given: Windows
    fs_hz: float | None
    granularity: Granularity
    found: dict[int, WindowRows]
    faults: dict[int, str]

    @property
    def encoder_sha256(self) -> str:
        """Which weights they were."""
        return self.encoder.info.sha256

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self.encoder.info.embedding_dim

    @cached_property
    def windows(self) -> list[Embedded]:
        """The windows in their order; of many it takes a while to put them together."""
        return [
            Embedded(
                starts_s(self.encoder, window, self.fs_hz, self.granularity),
                self.found.get(place),
                self.faults.get(place),
            )
            for place, window in enumerate(self.given)
        ]


@dataclass(frozen=True, slots=True)
class Probe:
    """That an embedding really works: with which encoder, and in what time."""

    model: str
    seconds: float


class Embedder:
    """Embeds windows with any encoder that the service has.

    Args:
        store: Says which checkpoint a name means.
        settings: Where checkpoints lie, the device, and what may be held in memory.
        metrics: Counts what is done.
    """

    def __init__(self, store: JobStore, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._encoders = KnownEncoders(store, settings)
        self._process = EncoderProcess(settings, metrics)
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="embedding")
        self._preloaded = [name.strip() for name in settings.preload_models.split(",") if name]
        self._is_preloaded = not self._preloaded
        self.room = EmbeddingRoom(settings, self._process.wait_s)

    async def embed(
        self, model: str, windows: Windows, fs_hz: float | None, granularity: Granularity
    ) -> Answer:
        """Embed windows of any lengths; a bad one does not fail its neighbours.

        Args:
            model: Alias, job id or `default`.
            windows: Samples of each window, or why it could not be read.
            fs_hz: Their sampling rate, Hz; None is the encoder's own.
            granularity: What one embedding describes.

        Raises:
            ModelNotFoundError: Nothing has this name.
            CheckpointError: The encoder is damaged.
            DeviceError: This machine does not have the device that embeds.
            ProblemError: 429, it would wait too long; 503, the service is being stopped, or the
                process that embeds died.
        """
        with self._metrics.waiting.track_inprogress():
            known = self._encoders.at_hand(model) or await self.aside(self._encoders.get, model)
            try:
                answer = await self._embed_with(known, windows, fs_hz, granularity)
            except CheckpointError:
                newer = await self.aside(self._encoders.get, model)
                if newer.folder == known.folder:
                    raise
                answer = await self._embed_with(newer, windows, fs_hz, granularity)
        self._metrics.refused.inc(len(answer.faults))
        self._metrics.embedded.inc(len(answer.found))
        return answer

    async def _embed_with(
        self,
        known: KnownEncoder,
        windows: Windows,
        fs_hz: float | None,
        granularity: Granularity,
    ) -> Answer:
        encoder = known.encoder
        self.room.check_wait()  # again: others came while its body did
        groups, faults = await self.wherever_sooner(windows, group_windows, encoder, windows, fs_hz)
        arrays = [group.windows for group in groups]
        rows = await self._process.embed(known, arrays, fs_hz, granularity)
        return Answer(encoder, windows, fs_hz, granularity, by_place(groups, rows), faults)

    async def probe(self) -> Probe:
        """Embed a made-up window with the default encoder, in the queue like any other.

        Raises:
            PpgsslError: It does not work, or encoders are being loaded still.
            ProblemError: 503, the service is being stopped, or the process that embeds died.
        """
        if not self._is_preloaded:
            raise PpgsslError(f"still loading {', '.join(self._preloaded)}")
        began = time.perf_counter()
        known = await self.aside(self._encoders.get, DEFAULT_MODEL)
        fs_hz = known.encoder.info.fs_hz
        seconds = np.arange(round(10 * fs_hz)) / fs_hz
        pulse = np.sin(2 * np.pi * 1.2 * seconds).astype(np.float32)  # 72 bpm
        embedding, _ = await self._process.embed(known, [pulse[None]], None, Granularity.WINDOW)
        if not np.isfinite(embedding).all():
            raise CheckpointError("the default encoder gives embeddings that are not finite")
        return Probe(DEFAULT_MODEL, time.perf_counter() - began)

    async def preload(self) -> None:
        """Load the encoders that the settings name; what cannot be is told to the log."""
        try:
            for model in self._preloaded:
                await self._preload(model)
        finally:
            self._is_preloaded = True

    async def _preload(self, model: str) -> None:
        try:
            known = await self.aside(self._encoders.get, model)
            await self._process.embed(known, [], None, Granularity.WINDOW)
        except (PpgsslError, ProblemError) as error:
            log.error("PPGSSL_PRELOAD_MODELS: %s cannot be loaded: %s", model, error)

    async def aside(
        self,
        work: Callable[Parameters, Made],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Made:
        """Run something that takes a while on the embedder's own threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))

    async def wherever_sooner(
        self,
        windows: Windows,
        work: Callable[Parameters, Made],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Made:
        """Run something that takes longer the more windows there are: here if they are few."""
        if are_few(windows):
            return work(*args, **kwargs)
        return await self.aside(work, *args, **kwargs)

    def default_info(self) -> EncoderInfo:
        """What is known of the encoder that comes with ppgssl.

        Raises:
            CheckpointError: It is damaged.
        """
        return read_info(default_encoder_folder())

    async def close(self) -> None:
        """Wait for the batch that is being computed; drop what waits."""
        await self._process.close()
        self._threads.shutdown(cancel_futures=True)


def are_few(windows: Windows) -> bool:
    """Whether they are looked through in less time than a thread takes to begin."""
    if len(windows) > FEW_WINDOWS:
        return False
    return sum(len(window) for window in windows) <= FEW_SAMPLES


def group_windows(
    encoder: DescribedEncoder, windows: Windows, fs_hz: float | None
) -> tuple[list[Group], dict[int, str]]:
    """Sound windows by their lengths, and the faults of the others by their places.

    An array of sound windows is one group and is not copied.
    """
    checked = [find_fault(encoder, window, fs_hz) for window in windows]
    faults = {place: fault for place, fault in enumerate(checked) if fault is not None}
    if isinstance(windows, np.ndarray) and not faults:
        return [Group(range(len(windows)), windows)], faults
    by_length: dict[int, list[int]] = {}
    for place, window in enumerate(windows):
        if place not in faults:
            by_length.setdefault(len(window), []).append(place)
    groups = [
        Group(places, np.stack([np.asarray(windows[place]) for place in places]))
        for places in by_length.values()
    ]
    return groups, faults


def by_place(groups: Sequence[Group], rows: Sequence[Floats]) -> dict[int, WindowRows]:
    """Rows by the windows' places, of embeddings (N, R, D) and quality (N, R) of each group."""
    return {
        place: WindowRows(*window)
        for group, embedding, quality in zip(groups, rows[::2], rows[1::2], strict=True)
        for place, *window in zip(group.places, embedding, quality, strict=True)
    }


def find_fault(encoder: DescribedEncoder, window: Window, fs_hz: float | None) -> str | None:
    """Why a window cannot be embedded here; None where it can."""
    if isinstance(window, str):
        return window
    seconds = len(window) / (fs_hz or encoder.info.fs_hz)
    if seconds > LONGEST_WINDOW_S:
        return f"too long: {seconds:g} s, at most {LONGEST_WINDOW_S:g} s are taken; cut it up"
    return encoder.find_fault(window, fs_hz)


def starts_s(
    encoder: DescribedEncoder, window: Window, fs_hz: float | None, granularity: Granularity
) -> npt.NDArray[np.float64]:
    """Where a window's rows begin, also where it is refused: its neighbours' rows keep places."""
    num_samples = 0 if isinstance(window, str) else len(window)
    return encoder.row_starts_s(num_samples, fs_hz, granularity)
