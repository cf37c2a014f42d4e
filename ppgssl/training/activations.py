"""How much memory the trunk's activations take on a CPU, and whether there is room to keep them.

Axes used in this file:
    C  channels    L  positions
"""

import itertools

from ppgssl.config import Config
from ppgssl.models.pooling import divide_up

FLOAT32_BYTES = 4
KEPT_BY_STEM, KEPT_BY_BLOCK = 2, 4  # outputs of convolutions, and its own
SHARE_OF_FREE_MEMORY = 0.5


def keeps_activations(config: Config, free_bytes: int | None) -> bool:
    """Whether a step keeps what its backward pass needs, where it might compute it again.

    Args:
        config: `training.checkpoint_activations` decides, or leaves it to the memory.
        free_bytes: That this process may take; None where nobody knows, which is taken for enough.
    """
    checkpointed = config.training.checkpoint_activations
    if checkpointed != "auto":
        return not checkpointed
    return free_bytes is None or kept_bytes(config) <= SHARE_OF_FREE_MEMORY * free_bytes


def kept_bytes(config: Config) -> int:
    """What the trunk of encoder and decoder keeps of one micro-batch, bytes.

    Whole windows and pieces go through it one after the other, so that with pieces it holds the
    larger half.
    """
    windows, samples = config.training.micro_batch, config.data.window_samples
    if config.augmentation.piece_seconds is not None:
        windows -= windows // 2
    lengths = itertools.accumulate(
        config.model.channels, lambda length, _: divide_up(length, 2), initial=samples
    )
    stages = [c * n for c, n in zip(config.model.channels, list(lengths)[1:], strict=True)]
    in_encoder = KEPT_BY_STEM * stages[0] + KEPT_BY_BLOCK * sum(stages[1:])
    in_decoder = stages[-1] + KEPT_BY_BLOCK * sum(stages[:-1])
    return FLOAT32_BYTES * windows * (in_encoder + in_decoder)
