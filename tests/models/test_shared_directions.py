"""Directions of the embedding in which all dimensions take part."""

import torch

from ppgssl.models.shared_directions import SharedDirections, directions


def test_directions_are_orthogonal_and_use_every_dimension_alike():
    signs = directions(512)

    assert signs.abs().eq(1).all()
    assert (signs @ signs.T).tolist() == [[512, 0], [0, 512]]


def test_what_a_batch_has_in_common_stays_along_the_directions_and_goes_elsewhere():
    shared = SharedDirections(8)
    torch.nn.init.ones_(shared.along.weight)
    vectors = torch.randn(4, 3, 8)

    here, there = shared(vectors), shared(vectors + 5)

    moved = 8 * 5.0 * directions(8).sum(0)
    torch.testing.assert_close(there - here, moved.expand_as(here), rtol=1e-4, atol=1e-3)


def test_every_dimension_spreads_alike_apart_from_the_directions():
    vectors = torch.randn(64, 2, 8) * torch.logspace(-2, 2, 8)

    spread = SharedDirections(8)(vectors).flatten(0, 1).std(0)

    torch.testing.assert_close(spread, torch.ones(8), rtol=0.1, atol=0.0)


def test_a_single_vector_is_taken_as_it_is_in_training_too():
    vector = torch.randn(1, 1, 8)

    torch.testing.assert_close(SharedDirections(8).train()(vector), vector, rtol=1e-4, atol=1e-5)
