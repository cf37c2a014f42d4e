"""The learning rate rises linearly and falls along half a cosine."""

import pytest

from ppgssl.training.schedule import learning_rate_factor


def factors(epochs: int, warmup_epochs: int) -> list[float]:
    return [
        learning_rate_factor(epoch, turns=epochs, warmup_turns=warmup_epochs)
        for epoch in range(epochs)
    ]


def test_warm_up_rises_in_equal_steps_to_the_full_rate():
    assert factors(50, 4)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_last_epoch_has_one_percent_and_no_epoch_more_than_the_one_before():
    falling = factors(50, 4)[4:]

    assert falling[-1] == pytest.approx(0.01)
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize(("epochs", "warmup_epochs"), [(1, 0), (1, 5), (2, 2), (3, 2)])
def test_runs_shorter_than_their_warm_up_have_a_rate(epochs: int, warmup_epochs: int):
    assert all(0 < factor <= 1 for factor in factors(epochs, warmup_epochs))
