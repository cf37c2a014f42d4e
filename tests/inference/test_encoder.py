"""Embedding windows: any length and rate, refusals that name the window, one path for all."""

import numpy as np
import pytest

from ppgssl.errors import CheckpointError, WindowError
from ppgssl.inference.encoder import PpgEncoder, load_encoder


@pytest.fixture(scope="module")
def encoder(encoder_folder) -> PpgEncoder:
    return load_encoder(encoder_folder)


def pulses(num_windows: int, *, seconds: float = 10.0, fs_hz: float = 125.0) -> np.ndarray:
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    bpm = np.linspace(50, 120, num_windows)[:, None]
    angle = 2 * np.pi * bpm / 60 * t
    return (np.sin(angle) + 0.3 * np.sin(2 * angle)).astype(np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("seconds", [2.0, 10.0, 13.7, 600.0])
def test_windows_of_any_length_give_512_numbers_and_a_quality(encoder, seconds: float):
    result = encoder.embed(pulses(2, seconds=seconds))

    assert result.embedding.shape == (2, 512)
    assert result.embedding.dtype == np.float32
    assert np.isfinite(result.embedding).all()
    assert ((result.quality >= 0) & (result.quality <= 1)).all()


def test_no_windows_give_no_rows(encoder):
    none = np.empty((0, 1250), dtype=np.float32)

    result, segments = encoder.embed(none), encoder.embed_segments(none)

    assert (result.embedding.shape, result.quality.shape) == ((0, 512), (0,))
    assert (segments.embedding.shape, segments.quality.shape) == ((0, 5, 512), (0, 5))


def test_the_mean_of_a_window_s_segments_is_its_embedding(encoder):
    windows = pulses(2, seconds=9)  # 36 tokens of 32 samples
    tokens = np.array([8, 8, 8, 8, 4])

    segments = encoder.embed_segments(windows)

    weighted = np.einsum("nsd,s->nd", segments.embedding, tokens / tokens.sum())
    np.testing.assert_allclose(weighted, encoder.embed(windows).embedding, atol=1e-5)
    np.testing.assert_allclose(segments.start_s, np.arange(5) * 256 / 125)


def test_segments_have_a_quality_of_their_own(encoder):
    window = pulses(1, seconds=20)
    window[0, 1250:] = np.random.default_rng(0).normal(size=1250)

    quality = encoder.embed_segments(window).quality[0]

    assert quality[:4].min() > 0.9
    assert quality[6:9].max() < 0.7


def test_segments_of_another_rate_begin_at_the_same_seconds(encoder):
    slow = encoder.embed_segments(pulses(1, fs_hz=64), 64)

    assert slow.embedding.shape == (1, 5, 512)
    np.testing.assert_allclose(slow.start_s, np.arange(5) * 256 / 125)


def test_an_encoder_without_segments_has_one_a_window(make_encoder):
    whole = load_encoder(make_encoder("model.segment_seconds=null", "model.pooling=mean"))

    segments = whole.embed_segments(pulses(2))

    np.testing.assert_array_equal(segments.embedding[:, 0], whole.embed(pulses(2)).embedding)


@pytest.mark.parametrize("hum_hz", [90.0, 240.0])
def test_what_a_slower_rate_cannot_hold_is_filtered_away_not_folded_in(encoder, hum_hz: float):
    t = np.arange(5000) / 500
    clean = np.sin(2 * np.pi * 1.2 * t).astype(np.float32)
    hum = 0.5 * np.sin(2 * np.pi * hum_hz * t).astype(np.float32)

    heard = encoder.embed((clean + hum)[None], 500).embedding[0]

    assert cosine(heard, encoder.embed(clean[None], 500).embedding[0]) > 0.999


def test_read_only_windows_are_embedded_without_a_word(encoder):
    windows = pulses(1)
    windows.flags.writeable = False

    assert np.isfinite(encoder.embed(windows).embedding).all()


def test_a_window_s_embedding_does_not_depend_on_its_neighbours_or_the_batch(encoder):
    windows = pulses(7, seconds=600)

    together = encoder.embed(windows).embedding
    alone = np.concatenate([encoder.embed(windows[i : i + 1]).embedding for i in range(7)])

    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-6)


def test_gain_offset_and_polarity_preserving_units_do_not_change_the_embedding(encoder):
    windows = pulses(2)

    np.testing.assert_allclose(
        encoder.embed(3000 * windows + 20_000).embedding,
        encoder.embed(windows).embedding,
        rtol=1e-2,
        atol=1e-4,
    )


@pytest.mark.parametrize("fs_hz", [64.0, 250.0])
def test_another_sampling_rate_is_resampled_to_nearly_the_same_embedding(encoder, fs_hz: float):
    at_rate = encoder.embed(pulses(3, fs_hz=fs_hz), fs_hz).embedding
    own = encoder.embed(pulses(3)).embedding

    for row in range(3):
        assert cosine(at_rate[row], own[row]) > 0.99


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (np.zeros(1250), "window 1: flat"),
        (np.full(1250, np.nan), "window 1: not finite: 1250 of 1250 samples"),
        (np.where(np.arange(1250) == 3, np.inf, 1.0), "not finite: 1 of 1250"),
        (pulses(1)[0] * 1e31, "window 1: too large"),
    ],
)
def test_a_window_that_cannot_be_embedded_is_named_with_the_reason(encoder, window, message):
    windows = pulses(2)
    windows[1] = window

    with pytest.raises(WindowError, match=message):
        encoder.embed(windows)


def test_a_window_that_is_too_short_is_refused_with_the_seconds_needed(encoder):
    with pytest.raises(WindowError, match=r"too short: 100 samples at 125 Hz are 0\.80 s.*2 s"):
        encoder.embed(pulses(1, seconds=0.8))


@pytest.mark.parametrize("shape", [(1250,), (1, 1, 1250)])
def test_an_array_of_another_shape_is_refused_with_the_shape_expected(encoder, shape):
    with pytest.raises(WindowError, match=r"shape \(windows, samples\)"):
        encoder.embed(np.ones(shape, dtype=np.float32))


def test_an_encoder_that_is_not_there_says_what_was_expected(tmp_path):
    with pytest.raises(CheckpointError, match="expected a folder with"):
        load_encoder(tmp_path / "absent")
