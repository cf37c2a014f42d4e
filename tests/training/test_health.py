"""Health figures on embeddings whose rank, spread and place on the sphere are known."""

import math

import numpy as np
import pytest
import torch

from ppgssl.training.health import alignment, embedding_figures, uniformity


def test_the_effective_rank_of_k_equal_directions_is_k():
    directions = torch.eye(5, 16)
    embeddings = torch.cat([directions, -directions])

    assert embedding_figures(embeddings)["effective_rank"] == pytest.approx(5, rel=1e-6)


def test_equal_embeddings_have_rank_zero_and_only_dead_dimensions():
    figures = embedding_figures(torch.ones(10, 4))

    assert figures == {
        "effective_rank": 0.0,
        "embedding_std": 0.0,
        "embedding_std_p5": 0.0,
        "embedding_std_p95": 0.0,
        "dead_dimensions": 1.0,
    }


def test_a_constant_offset_does_not_count_as_a_direction():
    line = torch.linspace(-1, 1, 20)[:, None] * torch.ones(1, 3) + 100

    assert embedding_figures(line)["effective_rank"] == pytest.approx(1, rel=1e-3)


def test_the_spread_is_told_for_the_stillest_and_the_liveliest_dimensions():
    deviations = torch.arange(101.0)  # dimension k alternates between -k and k
    embeddings = torch.stack([deviations, -deviations])

    figures = embedding_figures(embeddings)

    assert figures["embedding_std_p5"] == pytest.approx(5)
    assert figures["embedding_std"] == pytest.approx(50)
    assert figures["embedding_std_p95"] == pytest.approx(95)


@pytest.mark.parametrize(
    ("second", "expected"),
    [([3.0, 0.0], 0.0), ([0.0, 1.0], 2.0), ([-2.0, 0.0], 4.0)],
)
def test_alignment_is_the_squared_distance_on_the_unit_sphere(second, expected):
    embeddings = torch.tensor([[1.0, 0.0], second, [5.0, 5.0]])

    assert alignment(embeddings, np.array([[0, 1]])) == pytest.approx(expected)


def test_embeddings_that_differ_in_length_only_are_all_alike():
    embeddings = torch.linspace(1, 2, 40)[:, None] * torch.ones(1, 8)

    assert uniformity(embeddings) == pytest.approx(0, abs=1e-5)


def test_the_uniformity_of_two_opposite_points_is_minus_eight():
    assert uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-8, rel=1e-4)


def test_the_uniformity_of_points_all_over_the_sphere_nears_minus_four():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(1500, 256, generator=generator)

    # Cosines are normal with variance 1/256: log E[exp(-4 + 4 cos)] = -4 + 16 / (2 * 256).
    assert uniformity(embeddings) == pytest.approx(-4 + 1 / 32, abs=0.01)


def test_uniformity_counts_every_pair_once_and_none_with_itself():
    points = torch.randn(600, 3, generator=torch.Generator().manual_seed(1))
    unit = torch.nn.functional.normalize(points.double(), dim=1)

    expected = math.log(torch.exp(-2 * torch.pdist(unit).square()).mean())

    assert uniformity(points) == pytest.approx(expected, abs=1e-5)
