"""The learning rate: a linear warm-up, then half a cosine."""

import math

FINAL_SHARE = 0.01  # of the peak learning rate, in the last turn


def learning_rate_factor(turn: int, *, turns: int, warmup_turns: int) -> float:
    """Share of the peak learning rate in `turn`, counted from 0: an epoch, or a step.

    Rises linearly so that turn `warmup_turns` is the first at the full rate, then falls along a
    cosine to 1 % in the last turn.
    """
    if turn < warmup_turns:
        return (turn + 1) / (warmup_turns + 1)
    remaining = max(turns - 1 - warmup_turns, 1)
    fraction = min((turn - warmup_turns) / remaining, 1.0)
    return FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * fraction)) / 2
