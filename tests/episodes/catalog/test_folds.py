import pytest

from episodes.catalog.catalog import Catalog
from episodes.catalog.folds import class_folds, cross_folds, subject_folds
from episodes.errors import DataError
from tests.episodes.catalog.test_splits import CATALOG, toy

PASCAL = Catalog((), tuple(str(number) for number in range(1, 21)), "pascal")
SCANS = toy(*((name, {"a": 1}) for name in ("1", "10", "2", "13", "3", "5", "21")))


def test_pascal_and_coco():
    assert class_folds(PASCAL, 4)[1] == ("6", "7", "8", "9", "10")
    assert class_folds(PASCAL, 4, interleaved=True)[1] == ("2", "6", "10", "14", "18")


def test_subjects_in_the_order_of_their_numbers():
    assert subject_folds(SCANS, 3) == (("1", "2", "3"), ("5", "10"), ("13", "21"))


@pytest.mark.parametrize("folds", [2, 3, 7])
@pytest.mark.parametrize("seed", [None, 0, 2**64 - 1])
def test_every_name_is_in_one_fold(folds, seed):
    for found, names in (
        (class_folds(PASCAL, folds, seed=seed), PASCAL.classes),
        (class_folds(PASCAL, folds, interleaved=True, seed=seed), PASCAL.classes),
        (subject_folds(SCANS, folds, seed=seed), SCANS.subjects),
    ):
        assert sorted(name for fold in found for name in fold) == sorted(names)
        sizes = [len(fold) for fold in found]
        assert max(sizes) - min(sizes) <= 1


def test_seeds_repeat_and_differ():
    assert class_folds(PASCAL, 4, seed=3) == class_folds(PASCAL, 4, seed=3)
    assert len({class_folds(PASCAL, 4, seed=seed) for seed in range(8)}) == 8
    assert class_folds(PASCAL, 4, seed=0) != class_folds(PASCAL, 4)


def test_both_together():
    parts = cross_folds(CATALOG, class_folds(CATALOG, 3), subject_folds(CATALOG, 3))
    assert [(p.test.classes, p.test.subjects) for p in parts] == [
        ((c,), (s,)) for c in "abc" for s in "pqr"
    ]
    for part in parts:
        assert not set(part.train.classes) & set(part.test.classes)
        assert not set(part.train.subjects) & set(part.test.subjects)
    assert cross_folds(CATALOG, [["b"]], [["r"]], training_exclusion="any")[0].train.subjects == (
        "p",
        "q",
    )


@pytest.mark.parametrize("folds", [0, 1, 8])
def test_impossible_folds(folds):
    with pytest.raises(DataError, match=f"{folds} folds of 7 subjects; expected at least 2"):
        subject_folds(SCANS, folds)
    with pytest.raises(DataError, match="seed is -1"):
        subject_folds(SCANS, 2, seed=-1)
