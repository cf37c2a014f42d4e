"""Health figures on embeddings whose rank and spread are known, and the warnings they lead to."""

import pytest
import torch

from ppgssl.training.health import embedding_figures, find_collapse, is_past_grace

HEALTHY = {"explained_variance": 0.5, "effective_rank": 40.0}


def test_the_effective_rank_of_k_equal_directions_is_k():
    directions = torch.eye(5, 16)
    embeddings = torch.cat([directions, -directions])

    assert embedding_figures(embeddings)["effective_rank"] == pytest.approx(5, rel=1e-6)


def test_equal_embeddings_have_rank_zero_and_only_dead_dimensions():
    figures = embedding_figures(torch.ones(10, 4))

    assert figures == {"effective_rank": 0.0, "embedding_std": 0.0, "dead_dimensions": 1.0}


def test_a_constant_offset_does_not_count_as_a_direction():
    line = torch.linspace(-1, 1, 20)[:, None] * torch.ones(1, 3) + 100

    assert embedding_figures(line)["effective_rank"] == pytest.approx(1, rel=1e-3)


def test_a_healthy_run_is_not_warned_about():
    assert find_collapse(HEALTHY, pooling="positional") == {}


@pytest.mark.parametrize(
    ("figure", "kind"),
    [({"explained_variance": 0.0}, "reconstruction"), ({"effective_rank": 1.5}, "embeddings")],
)
def test_a_collapse_is_named(figure: dict[str, float], kind: str):
    assert list(find_collapse(HEALTHY | figure, pooling="mean")) == [kind]


@pytest.mark.parametrize(
    ("epochs_at_full_rate", "steps", "expected"),
    [(2, 5_000, False), (50, 99, False), (3, 100, True)],
)
def test_a_slow_start_is_given_epochs_and_steps(epochs_at_full_rate, steps, expected):
    assert is_past_grace(epochs_at_full_rate=epochs_at_full_rate, steps=steps) is expected


def test_the_remedy_for_mean_pooling_is_positional_pooling():
    values = HEALTHY | {"explained_variance": 0.0}

    warning = find_collapse(values, pooling="mean")["reconstruction"]

    assert "model.pooling=positional" in warning
