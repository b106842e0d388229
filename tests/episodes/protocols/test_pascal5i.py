from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError
from episodes.io.pixels import PixelRef
from episodes.protocols.pascal5i import Pascal5iSettings, novel_classes, pascal5i


def images(*rows, name="toy", classes="abcdefgh"):
    """One sample a row; a row is {class: pixels}."""
    samples = [
        Sample(f"{name}{i:03}", PixelRef(Path(f"{i}.jpg")), (), f"{name}{i:03}", (80, 80), row)
        for i, row in enumerate(rows)
    ]
    return Catalog(tuple(samples), tuple(classes), name)


# Fold 0 of four over eight classes is a, b. Images of a: 0, 1, 2, 4; of b: 2, 3, 4, 5.
TEST = images(
    {"a": 3000},
    {"a": 3000},
    {"a": 3000, "b": 9},
    {"b": 3000},
    {"a": 9, "b": 3000},
    {"b": 3000, "h": 3000},
)


def test_folds_of_pascal_and_coco():
    numbers = [str(number) for number in range(1, 21)]
    assert novel_classes(numbers, 0) == ("1", "2", "3", "4", "5")
    assert novel_classes(numbers, 3) == ("16", "17", "18", "19", "20")
    coco = [str(number) for number in range(1, 81)]
    # PFENet and HSNet: fold 0 is 1, 5, 9, .. 77, fold 3 is 4, 8, .. 80.
    assert novel_classes(coco, 0, layout="interleaved") == tuple(map(str, range(1, 78, 4)))
    assert novel_classes(coco, 3, layout="interleaved") == tuple(map(str, range(4, 81, 4)))
    every = [name for fold in range(4) for name in novel_classes(coco, fold, layout="interleaved")]
    assert sorted(every) == sorted(coco)


def test_hsnet_walks_through_pairs_of_class_and_image():
    found = pascal5i(TEST, Pascal5iSettings(episodes=10))
    walked = [(c.plan.classes[0], c.plan.query[0][-1]) for c in found.cases]
    pairs = [("a", "0"), ("a", "1"), ("a", "2"), ("a", "4")]
    pairs += [("b", "2"), ("b", "3"), ("b", "4"), ("b", "5")]
    assert walked == [*pairs, ("a", "0"), ("a", "1")]  # and again from the start
    assert found.score_size == 400
    assert found.unit == "class"
    assert len(pascal5i(TEST).cases) == 1000
    drawn = pascal5i(TEST, Pascal5iSettings(walk=False, episodes=400))
    names = Counter(case.plan.classes[0] for case in drawn.cases)
    assert 150 < names["a"] < 250  # 200 expected, standard deviation 10


def test_pfenet_walks_through_images_of_large_objects():
    found = pascal5i(TEST, Pascal5iSettings(flavour="pfenet", episodes=600))
    # Images 0 to 5 all show a or b with 2048 pixels; the supports of a are 0, 1, 2, of b 3, 4, 5.
    assert [c.plan.query[0][-1] for c in found.cases[:7]] == list("0123450")
    for case in found.cases:
        (name,), ((support,),) = case.plan.classes, case.plan.support
        assert support[-1] in {"a": "012", "b": "345"}[name]
        assert support != case.plan.query[0]
    both = Counter(c.plan.classes[0] for c in found.cases if c.plan.query[0][-1] == "2")
    assert 25 < both["a"] < 75  # of 100: the class is drawn among those shown, however small
    assert found.score_size is None
    assert len(pascal5i(TEST, Pascal5iSettings(flavour="pfenet")).cases) == 5000


def test_panet_draws_five_runs():
    found = pascal5i(TEST, Pascal5iSettings(flavour="panet", episodes=200, shot=3))
    assert Counter(case.run for case in found.cases) == {f"run {r}": 200 for r in range(5)}
    assert found.score_size == 417
    for case in found.cases:
        shots = case.plan.support[0]
        assert len({*shots, *case.plan.query}) == 4  # all four images of the class
    runs = [[c.plan.query for c in found.cases if c.run == f"run {r}"] for r in range(5)]
    assert runs[0] != runs[1]
    # Run r of seed s is run 0 of seed s + r.
    later = pascal5i(TEST, Pascal5iSettings(flavour="panet", episodes=200, shot=3, seed=2))
    assert [c.plan.query for c in later.cases if c.run == "run 0"] == runs[2]


def test_supports_are_drawn_evenly():
    found = pascal5i(TEST, Pascal5iSettings(episodes=4000))
    drawn = Counter(
        case.plan.support[0][0][-1] for case in found.cases if case.plan.query[0][-1] == "0"
    )
    assert set(drawn) == set("124")
    assert all(130 < number < 205 for number in drawn.values())  # 167 of 500, deviation 10.5


@pytest.mark.parametrize(("rule", "kept"), [("keep", 4), ("drop", 2)])
def test_training_images_with_novel_classes(rule, kept):
    train = images({"c": 9}, {"a": 9, "c": 9}, {"h": 9}, {"b": 1}, name="train")
    found = pascal5i(TEST, Pascal5iSettings(novel_images=rule, episodes=1), train)
    assert len(found.train) == kept
    assert found.train.classes == tuple("cdefgh")
    assert sum(found.excluded.values()) == 4 - kept
    assert len(pascal5i(TEST, Pascal5iSettings(episodes=1)).train) == 0


def test_an_image_on_both_sides_is_refused():
    with pytest.raises(DataError, match="1 images are for training and for testing: toy000"):
        pascal5i(TEST, Pascal5iSettings(), replace(TEST, samples=TEST.samples[:1]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fold": 3}, r"classes g, h have at most 1 images .* 1 shots need 2\. Add"),
        ({"shot": 4}, r"classes a, b have at most 4 images .* 4 shots need 5\. Add"),
        ({"fold": 4}, "fold 4 of 4; expected 0 to 3"),
        ({"shot": 0}, "shot are 0, 0 and 0"),
        ({"episodes": -1}, "expected 0 or more"),
    ],
)
def test_what_cannot_be_drawn_is_told(settings, message):
    with pytest.raises(EpisodeError, match=message):
        pascal5i(TEST, Pascal5iSettings(**settings))
