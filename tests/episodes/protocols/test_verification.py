from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError
from episodes.io.pixels import PixelRef
from episodes.protocols import verification as module
from episodes.protocols.verification import list_pairs, read_pairs, verification


def catalog(*subjects):
    samples = [
        Sample(f"{i}.png", PixelRef(Path(f"{i}.png")), (), subject, (8, 8))
        for i, subject in enumerate(subjects)
    ]
    return Catalog(tuple(samples), ())


def test_all_pairs_by_hand():
    found = verification(catalog(*"ppqrq"), ["p", "q"], negatives="all")
    assert found.keys == ("0.png", "1.png", "2.png", "4.png")  # p, p, q, q
    assert found.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    assert found.same.tolist() == [True, False, False, False, False, True]
    assert found.train.subjects == ("r",)


@given(
    st.lists(st.integers(0, 5), min_size=3, max_size=40).filter(
        lambda names: 1 < len(set(names)) < len(names)
    ),
    st.integers(0, 3),
)
def test_balanced_pairs_are_all_positives_and_as_many_negatives(names, seed):
    subjects = np.array(names)
    pairs = list_pairs(subjects, "balanced", np.random.default_rng(seed))
    listed = [tuple(pair) for pair in pairs.tolist()]
    every = list(combinations(range(len(names)), 2))
    positives = {(i, j) for i, j in every if names[i] == names[j]}
    assert listed == sorted(set(listed))
    assert {pair for pair in listed if names[pair[0]] == names[pair[1]]} == positives
    assert len(listed) == len(positives) + min(len(positives), len(every) - len(positives))


def test_negatives_are_drawn_evenly():
    subjects = np.repeat(np.arange(10), 2)  # 10 positives, 180 negatives
    counts = np.zeros((20, 20), int)
    for seed in range(900):
        pairs = list_pairs(subjects, "balanced", np.random.default_rng(seed))
        np.add.at(counts, tuple(pairs.T), 1)
    same = subjects[:, None] == subjects[None]
    drawn = counts[np.triu(~same)]
    assert drawn.sum() == 9000
    assert 20 < drawn.min() <= drawn.max() < 85  # 50 expected, standard deviation 7
    assert (counts[np.triu(same, 1)] == 900).all()


def test_the_hash_depends_on_the_pairs():
    images = catalog(*np.repeat(list("abcdefghij"), 3).tolist())
    subjects = list("abcdefgh")
    first = verification(images, subjects, seed=1)
    assert first.hash == verification(images, subjects, seed=1).hash
    assert first.hash != verification(images, subjects, seed=2).hash
    assert first.hash != verification(images, subjects[:-1], seed=1).hash


def test_a_published_list_is_read(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("1.png\t0.png\t1.0\n4.png\t0.png\t0.0\n")
    found = read_pairs(catalog(*"ppqrq"), path)
    assert found.keys == ("1.png", "0.png", "4.png")
    assert found.pairs.tolist() == [[0, 1], [1, 2]]
    assert found.same.tolist() == [True, False]
    assert found.train.subjects == ("r",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 lines"),
        (b"0.png 1.png\n", "1 of another form .* 0.png 1.png"),
        (b"0.png 1.png yes\n", "1 of another form"),
        (b"0.png 9.png 1\n", "names 1 files that .* lacks .9.png"),
        (b"0.png 1.png 0\n", "disagree"),
        (b"0.png 1.png 1\n1.png 0.png 1\n", "a pair twice"),
        (b"\xff", "cannot be read as text"),
    ],
)
def test_a_list_of_another_form_is_told(tmp_path, content, message):
    path = tmp_path / "pairs.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_pairs(catalog(*"ppqrq"), path)
    with pytest.raises(DataError, match="there is no file"):
        read_pairs(catalog(*"pp"), tmp_path / "nothing.txt")


def test_impossible_lists_are_told(monkeypatch):
    with pytest.raises(EpisodeError, match="2 images of 1 subjects give 1 pairs of one subject"):
        verification(catalog(*"pp"), ["p"])
    with pytest.raises(EpisodeError, match="give 0 pairs of one subject and 1 of two"):
        verification(catalog(*"pq"), ["p", "q"])
    with pytest.raises(DataError, match="no subject 'x'"):
        verification(catalog(*"pq"), ["x"])
    monkeypatch.setattr(module, "MAX_PAIRS", 5)
    with pytest.raises(EpisodeError, match="6 pairs; at most 5 are listed"):
        verification(catalog(*"ppqq"), ["p", "q"], negatives="all")


def test_the_largest_list_takes_the_memory_that_is_told():
    assert module.MAX_PAIRS * 2 * np.dtype(np.int32).itemsize == 400e6
