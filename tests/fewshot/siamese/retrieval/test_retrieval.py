"""Retrieval scores against a slow loop, scikit-learn, pytorch-metric-learning and hand values."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from episodes.errors import DataError
from fewshot.siamese.retrieval import ranking as rankings_module
from fewshot.siamese.retrieval.ranking import rank_gallery
from fewshot.siamese.retrieval.relevance import (
    Exclusion,
    Graded,
    SameLabel,
    SharedLabels,
    shared_codes,
)
from fewshot.siamese.retrieval.retrieval_metrics import retrieve


def slow(queries, gallery, gains, banned, distance, at):
    """One query, one item at a time: sort by distance, then by gain, and follow the definitions."""
    rows = []
    for number, query in enumerate(queries):
        found = []
        for place, item in enumerate(gallery):
            if banned[number][place]:
                continue
            if distance == "cosine":
                far = 1 - query @ item / (np.linalg.norm(query) * np.linalg.norm(item))
            else:
                far = np.linalg.norm(query - item)
            found.append((round(float(far), 5), float(gains[number][place])))
        ranked = [gain for _, gain in sorted(found)]
        total = sum(gain > 0 for gain in ranked)
        row = {"relevant": total}
        if total:
            row["precision@1"] = float(ranked[0] > 0)
            for k in at:
                row[f"recall@{k}"] = float(any(gain > 0 for gain in ranked[:k]))
                best = sorted(ranked, reverse=True)
                dcg, ideal = (
                    sum(gain / math.log2(place + 2) for place, gain in enumerate(order[:k]))
                    for order in (ranked, best)
                )
                row[f"ndcg@{k}"] = dcg / ideal
            hits = [gain > 0 for gain in ranked[:total]]
            row["r_precision"] = sum(hits) / total
            row["map@r"] = (
                sum(sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit) / total
            )
        rows.append(row)
    return rows


def check(found, rows):
    for number, row in enumerate(rows):
        assert found.relevant[number] == row["relevant"]
        for name, values in found.scores.items():
            if row["relevant"]:
                assert values[number] == pytest.approx(row[name], abs=1e-5), (number, name)
            else:
                assert math.isnan(values[number])


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["labels", "sets", "jaccard", "graded"])
def test_equals_a_slow_loop(kind, distance):
    generator = np.random.default_rng(3)
    queries, gallery = generator.normal(size=(23, 4)), generator.normal(size=(31, 4))
    subjects = generator.integers(0, 9, 54)
    if kind == "labels":
        labels = generator.integers(0, 12, 54)
        relevance = SameLabel(labels[:23], labels[23:])
        gains = labels[:23, None] == labels[None, 23:]
    elif kind == "graded":
        gains = generator.integers(0, 3, (23, 31)) * generator.integers(0, 2, (23, 31))
        relevance = Graded(gains)
    else:
        sets = [set(generator.integers(0, 8, generator.integers(0, 4)).tolist()) for _ in range(54)]
        relevance = SharedLabels(sets[:23], sets[23:], "count" if kind == "sets" else kind)
        gains = [[len(a & b) for b in sets[23:]] for a in sets[:23]]
        if kind == "jaccard":
            gains = [[len(a & b) / max(1, len(a | b)) for b in sets[23:]] for a in sets[:23]]
    exclude = [Exclusion.of(subjects[:23], subjects[23:])]
    found = retrieve(queries, relevance, gallery, exclude=exclude, at=(1, 4, 40), distance=distance)
    banned = subjects[:23, None] == subjects[None, 23:]
    rows = slow(queries, gallery, gains, banned, distance, (1, 4, 40))
    check(found, rows)
    assert found.undefined == sum(not row["relevant"] for row in rows)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.sampled_from([7, 64]))
def test_tiles_and_blocks_change_nothing(seed, tile, cells):
    generator = np.random.default_rng(seed)
    places = generator.integers(0, 3, (12, 2)).astype(np.float32)  # many ties
    gains = generator.integers(0, 3, (12, 12)).astype(np.float32)

    def ranked(**options):
        parts = rank_gallery(
            places,
            places,
            Graded(gains),
            [],
            same_items=True,
            depth=3,
            distance="euclidean",
            **options,
        )
        return [part.gains[:, :3] for part in parts]

    whole = np.concatenate(ranked())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rankings_module, "_CELLS", cells)
        parts = ranked(tile=tile)
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_hand_values_of_one_ranking():
    """Gains 0, 2, 1, 0, 3 from near to far: R = 3."""
    gallery = np.arange(1, 6, dtype=float)[:, None]
    found = retrieve([[0.0]], Graded([[0, 2, 1, 0, 3]]), gallery, at=(1, 3), distance="euclidean")
    assert found.mean("precision@1") == found.mean("recall@1") == found.mean("ndcg@1") == 0
    assert found.mean("recall@3") == 1
    assert found.mean("r_precision") == pytest.approx(2 / 3)
    assert found.mean("map@r") == pytest.approx((1 / 2 + 2 / 3) / 3)
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert found.mean("ndcg@3") == pytest.approx((2 / math.log2(3) + 1 / 2) / ideal)


def test_ndcg_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    queries, gallery = generator.normal(size=(9, 3)), generator.normal(size=(20, 3))
    gains = generator.random((9, 20))
    found = retrieve(queries, Graded(gains), gallery, at=(1, 5, 20), distance="euclidean")
    closeness = -np.linalg.norm(queries[:, None] - gallery, axis=2)
    for k in (1, 5, 20):
        assert found.mean(f"ndcg@{k}") == pytest.approx(ndcg_score(gains, closeness, k=k), abs=1e-6)


@pytest.mark.parametrize("classes", [3, 40])
def test_equals_pytorch_metric_learning(classes):
    pytest.importorskip("faiss", exc_type=ImportError)
    module = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    generator = np.random.default_rng(1)
    labels = generator.integers(0, classes, 120)
    places = generator.normal(size=(120, 8)) + labels[:, None] * 0.2
    names = ("precision_at_1", "mean_average_precision_at_r", "r_precision")
    calculator = module.AccuracyCalculator(
        include=names, k="max_bin_count", device=torch.device("cpu")
    )
    theirs = calculator.get_accuracy(torch.tensor(places).float(), torch.tensor(labels))
    found = retrieve(places, SameLabel(labels, labels), distance="euclidean")
    for name, their in zip(("precision@1", "map@r", "r_precision"), names, strict=True):
        assert found.mean(name) == pytest.approx(theirs[their], abs=1e-5)


def test_labels_beyond_float_precision_stay_apart():
    """Ids above 2^24 merge in float32, those above 2^53 in float64, those above 2^64 overflow."""
    for base in (2**24, 2**53, 2**70):
        labels = [base, base + 1, base, base + 1]
        found = retrieve([[0.0], [0.1], [5.0], [5.1]], SameLabel(labels, labels), at=())
        assert found.mean("precision@1") == 0


def test_labels_of_all_kinds_compare():
    codes = shared_codes([1, 2], np.array([2, 1], np.uint64), torch.tensor([1]), ["1", "2"])
    assert [each.tolist() for each in codes] == [[0, 1], [1, 0], [0], [2, 3]]
    with pytest.raises(DataError, match=r"a label is 0\.5; expected whole numbers"):
        SameLabel([0.5], [1])


def test_singletons_are_undefined_and_counted():
    labels = ["a", "a", "alone"]
    found = retrieve([[0.0, 1], [0.1, 1], [1.0, 0]], SameLabel(labels, labels))
    assert found.undefined == 1
    assert np.isnan(found.scores["map@r"]).tolist() == [False, False, True]
    assert found.mean("precision@1") == 1
    interval = found.interval("map@r", ["s", "t", "u"], resamples=100)
    assert (interval.subjects, interval.undefined) == (2, 1)
    lonely = retrieve([[1.0]], SameLabel(["a"], ["a"]))
    assert math.isnan(lonely.mean("map@r"))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_collapsed_embedding_finds_nothing(distance):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 50)
    same = np.repeat(generator.normal(size=(1, 128)), 50, axis=0)
    found = retrieve(same, SameLabel(labels, labels), distance=distance)
    assert found.mean("precision@1") == found.mean("recall@10") == 0
    assert found.mean("map@r") < 0.25
    zeros = retrieve(0 * same, SameLabel(labels, labels), distance=distance)
    assert zeros.mean("precision@1") == 0


def test_exclusion_of_the_own_subject_takes_the_easy_answer_away():
    """Two images of one scan are nearest to each other; of another subject the class is missed."""
    places, labels = [[0.0], [0.1], [5.0], [1.0]], ["x", "x", "x", "y"]
    subjects = Exclusion.of(["s", "s", "t", "u"], ["s", "s", "t", "u"])
    assert (
        retrieve(places, SameLabel(labels, labels), distance="euclidean").mean("precision@1")
        == 2 / 3
    )
    found = retrieve(places, SameLabel(labels, labels), exclude=[subjects], distance="euclidean")
    assert found.mean("precision@1") == 0
    assert found.relevant.tolist() == [1, 1, 2, 0]


def test_bad_input_is_told():
    labels = SameLabel([1, 2], [1, 2])
    with pytest.raises(DataError, match="1 of 2 queries are not finite"):
        retrieve([[1.0], [math.nan]], labels)
    with pytest.raises(DataError, match=r"\(2, 2\); there are \(3, 3\)"):
        retrieve([[1.0], [2.0], [3.0]], labels)
    with pytest.raises(DataError, match="1 channels and gallery items 2"):
        retrieve([[1.0], [2.0]], labels, [[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(DataError, match="at is"):
        retrieve([[1.0], [2.0]], labels, at=(0,))
    with pytest.raises(DataError, match="distance is 'hamming'"):
        retrieve([[1.0], [2.0]], labels, distance="hamming")
    with pytest.raises(DataError, match="overlap is"):
        SharedLabels([], [], "dice")
    with pytest.raises(DataError, match="no score 'auc'"):
        retrieve([[1.0], [2.0]], labels).mean("auc")
    with pytest.raises(DataError, match="negative"):
        retrieve([[1.0], [2.0]], Graded([[0, -1], [0, 0]]))


def test_an_empty_gallery_and_no_queries_are_defined():
    nothing = np.zeros((0, 2))
    assert retrieve([[1.0, 0]], SameLabel([1], []), nothing).undefined == 1
    assert math.isnan(retrieve(nothing, SameLabel([], [1]), [[1.0, 0]]).mean("map@r"))
