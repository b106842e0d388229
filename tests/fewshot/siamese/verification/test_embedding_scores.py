"""All pairs of a set of embeddings, and one-shot classification."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from episodes.errors import DataError
from episodes.protocols.omniglot import Trial
from fewshot.baselines.hausdorff import ink_points, modified_hausdorff
from fewshot.siamese.retrieval.one_shot_classification import (
    classify,
    max_view_similarity,
    nearest_example_similarity,
)
from fewshot.siamese.retrieval.whitening import within_class_whitening
from fewshot.siamese.verification.embedding_scores import EmbeddingScores


def angles(*degrees) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_pairs_and_ranks_by_hand():
    # a at 0, 10, 50 degrees and b at 45, 90: the a at 50 finds a b, and both b find it.
    scored = EmbeddingScores(angles(0, 10, 50, 45, 90), list("aaabb"))
    assert len(scored.pairs.scores) == 10
    assert int(scored.pairs.genuine.sum()) == 4
    values = scored.values()
    # Genuine pairs: 10, 40, 50, 45 degrees. Impostor pairs: 45, 90, 35, 80, 5, 40.
    gaps = {"same": (10, 40, 50, 45), "other": (45, 90, 35, 80, 5, 40)}
    wins = [(s < o) + 0.5 * (s == o) for s in gaps["same"] for o in gaps["other"]]
    assert values["auc"] == pytest.approx(np.mean(wins))
    assert values["recall_at_1"] == pytest.approx((2 / 3 + 0) / 2)
    found = scored.intervals()
    assert found["auc"][0] == pytest.approx(values["auc"])
    assert all(low <= value <= high for value, low, high in found.values())


def test_neighbours_in_a_list_make_no_pair_and_are_no_answer():
    vectors, names = angles(0, 1, 50, 2, 90, 91), list("aaabbb")
    near, far = EmbeddingScores(vectors, names), EmbeddingScores(vectors, names, min_gap=2)
    assert int(near.pairs.genuine.sum()) == 6
    assert int(far.pairs.genuine.sum()) == 2  # the first and the third of both
    assert len(far.pairs.scores) == 2 + 9
    assert near.retrieval.scores["recall@1"].tolist() == [1, 0, 0, 0, 1, 1]
    # The second of either has nothing left to be found.
    left = far.retrieval.scores["recall@1"]
    assert np.isnan(left[[1, 4]]).all()
    assert left[[0, 2, 3, 5]].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("vectors", "names", "apart", "said"),
    [
        (angles(0, 1), ["a"], 1, "2 embeddings of 1"),
        (angles(0, 1), ["a", "b"], 1, "at least 1 apart, make no genuine"),
        (angles(0, 1), ["a", "a"], 1, "make no genuine or no impostor pair"),
        (angles(0, 1, 2), ["a", "a", "b"], 2, "at least 2 apart"),
        (angles(0, 1), ["a", "a"], 0, "min_gap is 0"),
    ],
)
def test_what_cannot_be_scored(vectors, names, apart, said):
    with pytest.raises(DataError, match=said):
        EmbeddingScores(vectors, names, apart)


def test_the_modified_hausdorff_distance_is_the_papers():
    generator = np.random.default_rng(0)
    one, other = generator.random((12, 12)) < 0.2, generator.random((12, 12)) < 0.3
    first, second = ink_points(one), ink_points(other)
    assert first.mean(axis=0) == pytest.approx([0, 0])
    between = cdist(first, second)
    expected = max(between.min(axis=1).mean(), between.min(axis=0).mean())
    assert modified_hausdorff(first, second) == pytest.approx(expected)
    assert modified_hausdorff(second, first) == pytest.approx(expected)
    nothing = ink_points(np.zeros((3, 3), bool))
    assert modified_hausdorff(nothing, first) == float("inf")
    assert modified_hausdorff(nothing, nothing) == 0


def test_a_test_item_goes_to_the_likest_class():
    names = dict(zip("pqrst", angles(0, 20, 80, 100, 48)[:, None], strict=True))
    trial = Trial("run", "t", (("p", "q"), ("r", "s")), 1)
    assert classify([trial], max_view_similarity([names])) == [
        0
    ]  # cos 48 + cos 28 is more than cos 32 + cos 52
    assert classify([trial], max_view_similarity([names, {**names, "t": names["s"]}])) == [1]
    # Of several views the best two count.
    views = {**names, "t": angles(48, 99)}
    assert classify([trial], max_view_similarity([views])) == [1]
    # Without their common part, q and r lie on either side of the mean at 45 degrees.
    sides = dict(zip("qrt", angles(40, 50, 44)[:, None], strict=True))
    near = Trial("run", "t", (("q",), ("r",)), 0)
    plain, centred = (max_view_similarity([sides], share)(near) for share in (0.0, 1.0))
    assert plain[0] - plain[1] < 0.01
    assert centred.tolist() == pytest.approx([1, -1], abs=0.1)
    places = {"p": 0.0, "q": 3.0, "r": 5.0, "s": 9.0, "t": 4.4}
    distance = nearest_example_similarity(lambda one, other: abs(places[one] - places[other]))
    assert classify([trial], distance) == [1]
    # Two trials may get one and the same answer.
    assert classify([trial, trial], distance) == [1, 1]
    with pytest.raises(DataError, match="no embeddings"):
        max_view_similarity([])


def test_whitening_makes_classes_round_and_keeps_their_size():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 40)
    spread = generator.normal(size=(2000, 3)) * [3.0, 1.0, 0.1]
    vectors = generator.normal(size=(50, 3))[labels] * 9 + spread
    matrix = within_class_whitening(vectors, labels.tolist(), 1e-9)
    np.testing.assert_allclose(matrix, matrix.T)
    away = spread - np.array([spread[labels == label].mean(axis=0) for label in labels])
    inside = (away @ matrix).T @ (away @ matrix) / 2000
    np.testing.assert_allclose(inside, np.trace(away.T @ away) / 6000 * np.eye(3), atol=1e-6)
    # Drawn far towards the identity, it does next to nothing but scale.
    still = within_class_whitening(vectors, labels.tolist(), 1e6)
    np.testing.assert_allclose(still / still[0, 0], np.eye(3), atol=1e-4)
    for wrong in ((vectors, range(2000), 1.0), (vectors, labels, 0.0)):
        with pytest.raises(DataError, match="expected both above 0"):
            within_class_whitening(*wrong)
