"""Directions of the embedding in which all dimensions take part."""

import torch

from ppgssl.models.shared_directions import SharedDirections, directions


def test_directions_are_orthogonal_and_use_every_dimension_alike():
    signs = directions(512)

    assert signs.abs().eq(1).all()
    assert (signs @ signs.T).tolist() == [[512, 0], [0, 512]]


def test_it_starts_by_adding_nothing():
    vectors = torch.randn(4, 3, 8)

    assert torch.equal(SharedDirections(8)(vectors), vectors)


def test_what_is_said_of_a_direction_moves_every_dimension_alike():
    shared = SharedDirections(8)
    torch.nn.init.ones_(shared.along.bias)
    vectors = torch.randn(4, 3, 8)

    moved = directions(8).sum(0)

    torch.testing.assert_close(shared(vectors) - vectors, moved.expand_as(vectors))
