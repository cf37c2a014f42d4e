"""The learning rate per epoch: a linear warm-up, then half a cosine."""

import math

FINAL_SHARE = 0.01  # of the peak learning rate, in the last epoch


def learning_rate_factor(epoch: int, *, epochs: int, warmup_epochs: int) -> float:
    """Share of the peak learning rate in `epoch`, counted from 0.

    Rises linearly so that epoch `warmup_epochs` is the first at the full rate, then falls along a
    cosine to 1 % in the last epoch.
    """
    if epoch < warmup_epochs:
        return (epoch + 1) / (warmup_epochs + 1)
    remaining = max(epochs - 1 - warmup_epochs, 1)
    fraction = min((epoch - warmup_epochs) / remaining, 1.0)
    return FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * fraction)) / 2
