"""Probes with the labels of few people, on data whose scores are known beforehand."""

import numpy as np
import pytest

from ppgssl.evaluation.label_efficiency import EfficiencyPoint, label_efficiency
from ppgssl.evaluation.scores import mean_absolute_error
from ppgssl.evaluation.targets import Target

SUBJECTS = np.repeat(np.arange(50), 4)
TELLING = np.random.default_rng(0).normal(size=(200, 3))
HEART_RATES = 70 + TELLING @ np.array([4.0, 2.0, 0.0])
TARGET = Target("hr_bpm", np.arange(200), HEART_RATES, (), SUBJECTS)


@pytest.fixture(scope="module")
def points() -> list[EfficiencyPoint]:
    return label_efficiency(TARGET, {"encoder": TELLING, "mean": np.zeros((200, 1))}, seed=0)


def test_the_levels_are_shares_of_each_fold_s_people_and_five_people(points):
    levels = [(p.share, p.people) for p in points if p.representation == "encoder"]

    assert levels == [(0.01, 1), (0.05, 2), (None, 5), (0.2, 8), (1.0, 40)]
    assert [p.level for p in points][::2] == [
        "1 % (1 person)",
        "5 % (2 people)",
        "5 people",
        "20 % (8 people)",
        "100 % (40 people)",
    ]


def test_more_people_bring_a_telling_representation_closer_and_a_blind_one_nowhere(points):
    telling = [p.score.value for p in points if p.representation == "encoder"]
    blind = [p.score.value for p in points if p.representation == "mean"]
    spread = np.abs(HEART_RATES - HEART_RATES.mean()).mean()

    assert telling == sorted(telling, reverse=True)
    assert telling[-1] < 0.1
    assert min(blind) > 0.9 * spread


def test_the_same_seed_draws_the_same_people(points):
    again = label_efficiency(TARGET, {"encoder": TELLING, "mean": np.zeros((200, 1))}, seed=0)

    assert again == points


def test_with_everybody_the_score_is_that_of_the_full_probe(points):
    full = [p for p in points if p.share == 1.0 and p.representation == "mean"]
    held_out = np.empty(200)
    for fold in TARGET.folds:
        held_out[fold.test] = HEART_RATES[fold.train].mean()

    expected = mean_absolute_error(HEART_RATES, held_out, np.ones((1, 200)))
    assert full[0].score.value == pytest.approx(expected[0])


def test_with_five_people_or_fewer_in_a_fold_there_is_no_level_of_five():
    few = SUBJECTS < 5
    target = Target("hr_bpm", np.arange(20), HEART_RATES[few], (), SUBJECTS[few])

    points = label_efficiency(target, {"encoder": TELLING[few]}, seed=0)

    assert [p.share for p in points] == [0.01, 0.05, 0.2, 1.0]
