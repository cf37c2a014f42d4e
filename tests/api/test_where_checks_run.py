"""A request of few small windows is looked through on the event loop, any larger one beside it."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from live_service import Service

from api.embedder import FEW_SAMPLES, FEW_WINDOWS, Embedder, are_few
from api.metrics import Metrics


@pytest.fixture
def embedder(service: Service) -> Iterator[Embedder]:
    embedder = Embedder(service.store, service.settings, Metrics())
    yield embedder
    asyncio.run(embedder.close())


def zeros(*lengths: int) -> list[np.ndarray]:
    return [np.zeros(length, np.float32) for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "few"),
    [
        ([], True),
        ([FEW_SAMPLES], True),
        ([FEW_SAMPLES + 1], False),
        ([FEW_SAMPLES // 2, FEW_SAMPLES // 2 + 1], False),
        ([10] * FEW_WINDOWS, True),
        ([10] * (FEW_WINDOWS + 1), False),
    ],
)
def test_few_means_neither_many_windows_nor_many_samples(lengths: list[int], few: bool):
    assert are_few(zeros(*lengths)) is few


def test_a_thread_is_asked_only_for_what_would_hold_up_the_loop(embedder: Embedder):
    async def where(windows) -> threading.Thread:
        return await embedder.wherever_sooner(windows, threading.current_thread)

    assert asyncio.run(where(zeros(1250))) is threading.current_thread()
    assert asyncio.run(where(zeros(75_000))) is not threading.current_thread()
