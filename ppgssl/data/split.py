"""Train, val and test by subject: windows of one person are never in two splits.

A subject's place follows from a hash of its id and the seed, so adding recordings does not move
the subjects that were there.
"""

import hashlib
from collections.abc import Iterable, Mapping

from ppgssl.data.schema import Split

TRAIN_SHARE = 0.8
VAL_SHARE = 0.1

WITHOUT = {
    "val": "the dataset has no val split: the training windows are used to validate, so that "
    "neither losses nor health say anything of other people; add recordings of more people",
    "test": "the dataset has no test split: the best epoch is chosen on val, and nobody is left "
    "who had no part in it; add people, or run `ppgssl evaluate` on a dataset of others",
}
"""What a user should know of an empty split."""


def split_subjects(subject_ids: Iterable[str], *, seed: int) -> dict[str, Split]:
    """The split of each subject: about 80 % train, 10 % val, 10 % test.

    With two subjects or more neither train nor val is empty; test may be. A single subject is all
    train.
    """
    position = {subject: _position(subject, seed) for subject in subject_ids}
    ordered = sorted(position, key=lambda subject: (position[subject], subject))
    splits: dict[str, Split] = {subject: _split_at(position[subject]) for subject in ordered}
    if len(ordered) == 1:
        return {ordered[0]: "train"}
    if ordered and "train" not in splits.values():
        splits[ordered[0]] = "train"
    if ordered and "val" not in splits.values():
        splits[_nearest_to_val(ordered, splits)] = "val"
    return splits


def warn_of_empty_splits(counts: Mapping[str, int]) -> list[str]:
    """What follows from splits without a window, one line for each."""
    return [warning for split, warning in WITHOUT.items() if not counts[split]]


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
