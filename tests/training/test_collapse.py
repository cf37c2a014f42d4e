"""The warnings that health figures lead to: named, with a remedy, and no false alarms."""

import pytest

from ppgssl.config import ModelConfig
from ppgssl.training.collapse import carries_position, find_collapse, find_weakness, is_past_grace

HEALTHY = {
    "explained_variance": 0.5,
    "effective_rank": 40.0,
    "dead_dimensions": 0.0,
    "uniformity": -2.0,
    "hr_probe_mae": 3.0,
    "hr_probe_r": 0.9,
    "hr_mean_mae": 12.0,
}


def test_a_healthy_run_is_not_warned_about():
    assert find_collapse(HEALTHY, carries_position=True) == {}
    assert find_weakness(HEALTHY) == {}


@pytest.mark.parametrize(
    ("figure", "kind", "words"),
    [
        ({"explained_variance": 0.0}, "reconstruction", "0.0% of the held-out variance"),
        ({"effective_rank": 1.5}, "embeddings", "hardly more than 1.5 directions"),
        ({"dead_dimensions": 0.8}, "embeddings", "80% of their dimensions do not vary"),
        ({"uniformity": -0.01}, "embeddings", "nearly the same one (uniformity -0.010"),
    ],
)
def test_a_collapse_is_named(figure: dict[str, float], kind: str, words: str):
    warnings = find_collapse(HEALTHY | figure, carries_position=True)

    assert list(warnings) == [kind]
    assert words in warnings[kind]


def test_a_run_that_reconstructs_nothing_is_not_blamed_for_it():
    figures = HEALTHY | {"explained_variance": -0.5}

    assert find_collapse(figures, carries_position=False, reconstructs=False) == {}


def test_several_symptoms_of_the_embeddings_are_one_warning():
    figures = HEALTHY | {"effective_rank": 1.5, "uniformity": 0.0}

    assert list(find_collapse(figures, carries_position=True)) == ["embeddings"]


@pytest.mark.parametrize("kind", ["reconstruction", "embeddings"])
def test_the_remedy_for_a_lost_position_is_a_way_for_it(kind: str):
    figures = HEALTHY | {"explained_variance": 0.0, "uniformity": 0.0}

    warning = find_collapse(figures, carries_position=False)[kind]

    assert "model.pose_channels=3 or model.pooling=positional" in warning


def test_figures_that_could_not_be_measured_are_not_judged():
    measured = {name: HEALTHY[name] for name in list(HEALTHY)[:3]}

    assert find_collapse(measured, carries_position=True) == {}
    assert find_weakness(measured) == {}


@pytest.mark.parametrize(
    ("pooling", "pose_channels", "expected"),
    [("mean", 0, False), ("mean", 4, True), ("positional", 0, True)],
)
def test_position_passes_by_its_own_channels_or_by_the_pooling(pooling, pose_channels, expected):
    model = ModelConfig(pooling=pooling, pose_channels=pose_channels)

    assert carries_position(model) is expected


@pytest.mark.parametrize(
    ("epochs_at_full_rate", "steps", "carries_position", "expected"),
    [
        (2, 5_000, True, False),
        (50, 499, True, False),
        (3, 500, True, True),
        (50, 99, False, False),
        (3, 100, False, True),
    ],
)
def test_a_slow_start_is_given_epochs_and_steps(
    epochs_at_full_rate, steps, carries_position, expected
):
    past = is_past_grace(
        epochs_at_full_rate=epochs_at_full_rate, steps=steps, carries_position=carries_position
    )

    assert past is expected


def test_a_probe_that_is_no_better_than_the_mean_is_worth_a_notice():
    notices = find_weakness(HEALTHY | {"hr_probe_mae": 12.5, "hr_probe_r": -0.1})

    assert "12.5 bpm on held-out windows, predicting the mean by 12.0 bpm" in notices["heart_rate"]


@pytest.mark.parametrize(
    "figures",
    [
        {"hr_probe_mae": 12.5, "hr_probe_r": 0.6},  # another person's offset, but it follows
        {"hr_probe_mae": 1.5, "hr_probe_r": 0.0, "hr_mean_mae": 1.0},  # all hearts beat alike
    ],
)
def test_a_probe_that_knows_something_or_has_nothing_to_know_is_not(figures: dict[str, float]):
    assert find_weakness(HEALTHY | figures) == {}
