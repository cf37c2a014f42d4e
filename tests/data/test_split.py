"""The split is by subject and stays where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.data.split import split_subjects, warn_of_empty_splits

subject_sets = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=40)


@given(subjects=subject_sets, seed=st.integers(0, 2**31 - 1))
def test_every_subject_has_one_split_and_train_and_val_are_never_empty(
    subjects: set[str], seed: int
):
    splits = split_subjects(subjects, seed=seed)

    assert set(splits) == subjects
    assert "train" in splits.values()
    assert len(subjects) == 1 or "val" in splits.values()


@given(subjects=subject_sets, seed=st.integers(0, 2**31 - 1))
def test_the_order_and_number_of_windows_do_not_matter(subjects: set[str], seed: int):
    once = split_subjects(sorted(subjects), seed=seed)
    often = split_subjects(sorted(subjects, reverse=True) * 3, seed=seed)

    assert once == often


def test_shares_are_about_eighty_ten_ten():
    splits = list(split_subjects((str(k) for k in range(10_000)), seed=0).values())

    assert splits.count("train") / 10_000 == pytest.approx(0.8, abs=0.02)
    assert splits.count("val") / 10_000 == pytest.approx(0.1, abs=0.02)


def test_added_subjects_do_not_move_those_that_were_there():
    first = [f"subject-{k}" for k in range(100)]

    before = split_subjects(first, seed=0)
    after = split_subjects([*first, *(f"new-{k}" for k in range(100))], seed=0)

    assert {subject: after[subject] for subject in first} == before


def test_another_seed_is_another_split():
    subjects = [str(k) for k in range(100)]

    assert split_subjects(subjects, seed=0) != split_subjects(subjects, seed=1)


def test_a_single_subject_is_all_train():
    assert split_subjects(["only"], seed=0) == {"only": "train"}


def test_an_empty_split_is_told_with_what_follows_from_it():
    assert warn_of_empty_splits({"train": 8, "val": 1, "test": 1}) == []
    (without_test,) = warn_of_empty_splits({"train": 8, "val": 1, "test": 0})
    without_val, _ = warn_of_empty_splits({"train": 8, "val": 0, "test": 0})

    assert "no test split" in without_test
    assert "ppgssl evaluate" in without_test
    assert "no val split" in without_val
    assert "add recordings of more people" in without_val
