"""Passes side by side: one core each, and the same embeddings as one after the other."""

import numpy as np
import pytest
import torch

from ppgssl.inference import encoder as encoder_module
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.lanes import lanes


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    lanes.cache_clear()
    torch.set_num_threads(2)
    yield
    lanes().shutdown()
    lanes.cache_clear()
    torch.set_num_threads(before)


def test_each_lane_has_one_thread_and_its_caller_keeps_all(two_threads):
    of_lanes = list(lanes().map(lambda _: torch.get_num_threads(), range(8)))

    assert of_lanes == [1] * 8
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
def test_windows_keep_their_order_and_embeddings(two_threads, monkeypatch, count: int):
    monkeypatch.setitem(encoder_module.PASS_SAMPLES, "cpu", 2 * 1250)  # two windows a pass
    encoder = load_encoder("default")
    windows = np.random.default_rng(0).standard_normal((count, 1250)).astype(np.float32)

    together = encoder.embed(windows)

    assert together.embedding.shape == (count, 512)
    for place, window in enumerate(windows):
        alone = encoder.embed(window[None])
        distance = np.linalg.norm(together.embedding[place] - alone.embedding[0])
        assert distance <= 1e-5 * np.linalg.norm(alone.embedding[0])
        assert together.quality[place] == alone.quality[0]


def test_a_lone_window_on_all_lanes_has_the_embedding_of_one_lane(two_threads):
    encoder = load_encoder("default")
    window = np.random.default_rng(0).standard_normal((1, 20_000)).astype(np.float32)

    alone = encoder.embed(window).embedding[0]
    beside = encoder.embed(np.concatenate([window, window])).embedding[0]

    assert np.linalg.norm(alone - beside) <= 1e-5 * np.linalg.norm(beside)


def test_as_many_windows_at_once_as_keep_all_lanes_busy(two_threads):
    encoder = load_encoder("default")

    assert encoder.windows_at_once(75_000) == 2
    assert encoder.windows_at_once(40_000, fs_hz=62.5) == 2
    assert encoder.windows_at_once(1_250) == 128
