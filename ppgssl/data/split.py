"""Train, val and test by subject: windows of one person are never in two splits.

A subject's place follows from a hash of its id and the seed, so adding recordings does not move
the subjects that were there.
"""

import hashlib
import logging
from collections.abc import Iterable

from ppgssl.data.schema import Split

logger = logging.getLogger(__name__)

TRAIN_SHARE = 0.8
VAL_SHARE = 0.1


def split_subjects(subject_ids: Iterable[str], *, seed: int) -> dict[str, Split]:
    """The split of each subject: about 80 % train, 10 % val, 10 % test.

    With two subjects or more neither train nor val is empty; test may be. A single subject is all
    train, with a warning.
    """
    position = {subject: _position(subject, seed) for subject in subject_ids}
    ordered = sorted(position, key=lambda subject: (position[subject], subject))
    splits: dict[str, Split] = {subject: _split_at(position[subject]) for subject in ordered}
    if len(ordered) == 1:
        logger.warning("one subject only: all windows are train, there is nothing to validate on")
        return {ordered[0]: "train"}
    if ordered and "train" not in splits.values():
        splits[ordered[0]] = "train"
    if ordered and "val" not in splits.values():
        splits[_nearest_to_val(ordered, splits)] = "val"
    return splits


def _position(subject_id: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{subject_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _split_at(position: float) -> Split:
    if position < TRAIN_SHARE:
        return "train"
    return "val" if position < TRAIN_SHARE + VAL_SHARE else "test"


def _nearest_to_val(ordered: list[str], splits: dict[str, Split]) -> str:
    """The last train subject, or the first test subject where train has only one to give."""
    train = [subject for subject in ordered if splits[subject] == "train"]
    if len(train) > 1:
        return train[-1]
    return next(subject for subject in ordered if splits[subject] == "test")
