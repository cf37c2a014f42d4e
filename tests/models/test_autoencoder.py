"""Encoder and decoder: shapes for any length, counts, and position through the bottleneck."""

import math

import pytest
import torch

from ppgssl.config import Config, load_config
from ppgssl.models.autoencoder import (
    build_autoencoder,
    count_flops,
    count_parameters,
    segment_tokens,
)
from ppgssl.models.encoder import standardise

AS_DRAWN = load_config("as_drawn")
TINY = ["model.base_filters=4", "model.max_filters=16", "model.latent_dim=8"]


def tiny(*overrides: str) -> Config:
    return load_config(
        "small", [*TINY, "data.window_seconds=10", "model.bottleneck_dim=12", *overrides]
    )


@pytest.mark.parametrize("samples", [1_250, 7_501, 75_000])
@pytest.mark.parametrize("pooling", ["mean", "positional"])
def test_any_length_gives_one_embedding_and_exactly_its_samples_back(samples: int, pooling: str):
    model = build_autoencoder(tiny(f"model.pooling={pooling}")).eval()

    output, segments, surroundings, embedding = model(torch.randn(2, 1, samples))

    assert segments.shape[::2] == (2, 8)
    moments = model.encoder.moments_of(surroundings)
    assert moments.shape == (2, math.ceil(samples / model.encoder.stride), 8)
    assert embedding.shape == (2, 8)
    assert output.shape == (2, 1, samples)


def test_a_window_shorter_than_a_segment_and_than_a_batch_of_tokens_works():
    model = build_autoencoder(tiny()).eval()

    output, _, _, embedding = model(torch.randn(1, 1, 100))

    assert embedding.shape == (1, 8)
    assert output.shape == (1, 1, 100)


def test_the_reference_shapes_hold_at_75_000_samples():
    model = build_autoencoder(AS_DRAWN).eval()
    shapes: list[tuple[int, ...]] = []
    for stage in [model.encoder.stem, *model.encoder.blocks]:
        stage.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))

    with torch.inference_mode():
        embedding = model.encoder(torch.randn(1, 1, 75_000))
        output = model.decoder(embedding, 75_000)

    assert shapes == [(32, 37_500), (64, 18_750), (128, 9_375), (256, 4_688), (512, 2_344)]
    assert embedding.shape == (1, 512)
    assert output.shape == (1, 1, 75_000)


def test_the_reference_counts_are_the_counted_ones_not_the_quoted_ones():
    model = build_autoencoder(AS_DRAWN)

    assert count_parameters(model.encoder) == pytest.approx(2.53e6, rel=0.005)
    assert count_parameters(model.decoder) == pytest.approx(2.01e6, rel=0.005)
    window, vector = torch.zeros(1, 1, 75_000), torch.zeros(1, 512)
    assert count_flops(model.encoder, window) == pytest.approx(11.5e9, rel=0.01)
    assert count_flops(model.decoder, vector, 75_000) == pytest.approx(8.1e9, rel=0.01)


def test_counting_flops_leaves_the_batch_norm_statistics_alone():
    encoder = build_autoencoder(tiny()).encoder
    before = encoder.stem[1].running_mean.clone()

    count_flops(encoder, torch.randn(2, 1, 500))

    assert torch.equal(encoder.stem[1].running_mean, before)
    assert encoder.training


@pytest.mark.parametrize("pooling", ["mean", "positional"])
def test_gradients_reach_every_parameter(pooling: str):
    torch.manual_seed(0)
    model = build_autoencoder(tiny(f"model.pooling={pooling}"))

    output, _, _, embedding = model(torch.randn(4, 1, 2_500))
    (output.square().mean() + embedding.square().mean()).backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], 40),  # 10 s are 1,250 samples: 39.06 tokens, rounded up
        (["data.window_seconds=600"], 40),
        (["model.segment_seconds=2.56"], 10),
        (["model.segment_seconds=null", "model.pooling=positional"], 40),
        (["model.segment_seconds=null"], None),
    ],
)
def test_a_segment_is_whole_tokens_and_never_longer_than_the_window(overrides, expected):
    assert segment_tokens(tiny(*overrides)) == expected


def test_the_window_s_embedding_is_the_mean_of_its_whole_segments():
    model = build_autoencoder(tiny("model.segment_seconds=2.56")).eval()  # 320 samples a segment
    window = torch.randn(1, 1, 960)

    segments = model.encoder.segments(window)

    assert segments.shape == (1, 3, 8)
    torch.testing.assert_close(model.encoder(window), segments.mean(1))


def test_a_partial_last_segment_counts_by_its_share_of_the_tokens():
    model = build_autoencoder(tiny("model.segment_seconds=2.56")).eval()  # 10 tokens a segment
    window = torch.randn(1, 1, 480)  # 15 tokens: one segment and a half

    first, second = model.encoder.segments(window)[0]

    torch.testing.assert_close(model.encoder(window)[0], (10 * first + 5 * second) / 15)


def test_mean_pooling_cannot_tell_where_a_beat_is_and_positional_pooling_can():
    beat = torch.zeros(1, 1, 1_280)
    beat[..., 500:530] = 1
    later = beat.roll(64, dims=-1)  # two whole tokens

    def moves(pooling: str) -> float:
        torch.manual_seed(0)
        encoder = build_autoencoder(tiny(f"model.pooling={pooling}")).encoder.eval()
        here, there = (encoder.pool(encoder.tokens(x)) for x in (beat, later))
        return ((here - there).norm() / here.norm()).item()

    assert moves("mean") < 1e-5
    assert moves("positional") > 1e-2


def test_the_pose_tells_the_decoder_where_a_beat_is_while_the_embedding_does_not_know():
    torch.manual_seed(0)
    model = build_autoencoder(
        tiny("model.context_dilations=[]", "model.spectral_path=false")
    ).eval()
    beat = torch.zeros(1, 1, 1_280)
    beat[..., 500:530] = 1
    later = beat.roll(64, dims=-1)

    here, there = model.encoder.tokens(beat), model.encoder.tokens(later)

    torch.testing.assert_close(model(beat).embedding, model(later).embedding)
    assert model.pose is not None
    pose = model.pose(here)
    assert (pose - model.pose(there)).norm() > 1e-2 * (pose - pose.mean()).norm()


def test_context_layers_let_a_token_see_seconds_around_it():
    def reach_samples(*overrides: str) -> int:
        encoder = build_autoencoder(tiny(*overrides)).encoder.eval()
        window = torch.randn(1, 1, 9_600, requires_grad=True)
        tokens = encoder.context(encoder.tokens(window))
        (tokens[0, :, 150] * torch.arange(16)).sum().backward()
        assert window.grad is not None
        touched = window.grad[0, 0].nonzero()
        return int(touched.max() - touched.min()) + 1

    # 7 taps of the stem and four blocks of two k3 convolutions, of stride 2: 187 samples
    assert reach_samples("model.context_dilations=[]") <= 187
    assert reach_samples("model.context_dilations=[1,2,4]") > 20 * 125


def test_the_embedding_is_the_pooled_tokens_where_the_widths_agree_and_nothing_is_learnt_yet():
    encoder = build_autoencoder(tiny("model.latent_dim=16")).encoder.eval()
    pooled = torch.randn(2, 3, 16)

    torch.testing.assert_close(encoder.project(pooled), pooled, rtol=1e-4, atol=1e-5)


def test_each_window_is_encoded_by_itself():
    model = build_autoencoder(tiny()).eval()
    windows = torch.randn(3, 1, 1_250)

    together = model.encoder(windows)

    torch.testing.assert_close(model.encoder(windows[1:2]), together[1:2], rtol=1e-4, atol=1e-5)


def test_standardised_windows_have_mean_zero_and_deviation_one_and_flat_ones_are_zero():
    x = torch.stack([5 + 3 * torch.randn(1_000), torch.full((1_000,), 7.0)])

    z = standardise(x)

    assert z[0].mean().item() == pytest.approx(0, abs=1e-5)
    assert z[0].std(unbiased=False).item() == pytest.approx(1, rel=1e-5)
    assert z[1].abs().max() == 0
