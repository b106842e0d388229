import math

import pytest
import torch

from fewshot.registry import MINERS
from fewshot.siamese.distances import cosine_similarities, euclidean_distances
from fewshot.siamese.miners import triplets as module
from fewshot.siamese.miners.angular import angular_weights
from fewshot.siamese.miners.base import AnchorMiner
from fewshot.siamese.miners.distance_weighted import distance_weights
from fewshot.siamese.miners.hardest import farthest, nearest
from fewshot.siamese.miners.multi_similarity import relatively_hard
from fewshot.siamese.miners.triplets import semi_hard_of_pairs, triplet_weights
from fewshot.siamese.pair_masks import make_pair_masks
from tests.fewshot.siamese.samples import BATCHES, batch, measured, triplets

INSIDE = {
    "all": lambda p, n, margin: n < p + margin,
    "hard": lambda p, n, margin: n <= p,
    "semi-hard": lambda p, n, margin: p < n < p + margin,
}


def counted(distances, chosen, shares=None):
    """Count the triplets of each pair, one by one."""
    weights = torch.zeros_like(distances)
    for a, p, n in chosen:
        share = 1.0 if shares is None else shares[a, n]
        weights[a, p] += share
        weights[a, n] -= share
    return weights


@pytest.mark.parametrize("few", [0, 100], ids=["sorted", "compared"])
@pytest.mark.parametrize("which", list(INSIDE))
@pytest.mark.parametrize("name", list(BATCHES))
def test_triplets_are_counted_as_three_loops_do(monkeypatch, name, which, few):
    monkeypatch.setattr(module, "_FEW", few)
    for margin in (0.05, 0.5, 3.0):
        _, labels, distances, pair_masks = measured(name)
        d = distances.tolist()
        chosen = [
            (a, p, n) for a, p, n in triplets(labels) if INSIDE[which](d[a][p], d[a][n], margin)
        ]
        found = triplet_weights(distances, pair_masks, margin, which)
        assert torch.equal(found.weights, counted(distances, chosen))
        assert found.triplets == len(chosen)
        shares = torch.rand_like(distances)
        shared = triplet_weights(distances, pair_masks, margin, which, shares)
        torch.testing.assert_close(shared.weights, counted(distances, chosen, shares))
    assert len(chosen) > 0


@pytest.mark.parametrize("few", [0, 100], ids=["sorted", "compared"])
def test_ties_count_alike_in_both_ways(monkeypatch, few):
    """All distances are 0 or 1: a negative as far as the positive is hard, not semi-hard."""
    monkeypatch.setattr(module, "_FEW", few)
    labels = torch.tensor([0, 0, 1, 1])
    distances = torch.tensor([[0.0, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]])
    pair_masks = make_pair_masks(labels)
    counts = {which: triplet_weights(distances, pair_masks, 0.5, which) for which in INSIDE}
    assert [int(counts[which].triplets) for which in INSIDE] == [8, 8, 0]
    same = torch.zeros(4, 4)
    assert triplet_weights(same, pair_masks, 0.5, "hard").triplets == 8
    assert triplet_weights(same, pair_masks, 0.5, "semi-hard").triplets == 0


@pytest.mark.parametrize("name", list(BATCHES))
def test_facenet_takes_the_nearest_negative_beyond_the_positive_else_the_farthest(name):
    margin = 0.3
    _, labels, distances, pair_masks = measured(name)
    d, chosen, none_farther = distances.tolist(), [], 0
    for a, p in pair_masks.positives.nonzero().tolist():
        negatives = [n for n in range(len(d)) if labels[n] not in (labels[a], -1)]
        beyond = [n for n in negatives if d[a][n] > d[a][p]]
        none_farther += not beyond
        taken = (
            min(beyond, key=d[a].__getitem__) if beyond else max(negatives, key=d[a].__getitem__)
        )
        if d[a][taken] < d[a][p] + margin:
            chosen.append((a, p, taken))
    found = semi_hard_of_pairs(distances, pair_masks, margin)
    assert torch.equal(found.weights, counted(distances, chosen))
    assert found.triplets == len(chosen) > 0
    assert none_farther > 0 or name != "uneven"


@pytest.mark.parametrize("few", [0, 100], ids=["sorted", "compared"])
def test_a_negative_just_at_the_margin_is_not_within_it(monkeypatch, few):
    monkeypatch.setattr(module, "_FEW", few)
    distances = torch.tensor([[0.0, 0.5, 1.0], [0.5, 0.0, 0.75], [1.0, 0.75, 0.0]])
    pair_masks = make_pair_masks(torch.tensor([0, 0, 1]))
    counts = {
        which: int(triplet_weights(distances, pair_masks, 0.5, which).triplets) for which in INSIDE
    }
    assert counts == {"all": 1, "hard": 0, "semi-hard": 1}


def test_facenet_takes_no_negative_that_is_as_far_as_the_positive():
    distances = torch.tensor([[0.0, 0.5, 0.5, 0.7], [0.5, 0, 9, 9], [0.5, 9, 0, 9], [0.7, 9, 9, 0]])
    pair_masks = make_pair_masks(torch.tensor([0, 0, 1, 2]))
    found = semi_hard_of_pairs(distances, pair_masks, 0.3)
    assert torch.equal(found.weights, counted(distances, [(0, 1, 3)]))


@pytest.mark.parametrize("name", list(BATCHES))
def test_hardest_and_easiest(name):
    _, _, distances, pair_masks = measured(name)
    for find, choose, masks in (
        (farthest, max, pair_masks.positives),
        (nearest, min, pair_masks.positives),
        (nearest, min, pair_masks.negatives),
    ):
        place, there = find(distances, masks)
        for a, row in enumerate(distances.tolist()):
            partners = masks[a].nonzero()[:, 0].tolist()
            assert there[a] == bool(partners)
            if partners:
                assert place[a] == choose(partners, key=row.__getitem__)


def test_distance_weights_are_the_inverse_density():
    embeddings, labels = batch([*range(40), 0], dim=16)
    distances, pair_masks = euclidean_distances(embeddings, embeddings), make_pair_masks(labels)
    shares = distance_weights(distances, pair_masks, 16, min_distance=0.5, max_distance=1.4)
    for a in range(3):
        wanted = []
        for n in range(41):
            d = max(distances[a, n].item(), 0.5)
            q = d**14 * (1 - d * d / 4) ** 6.5
            usable = pair_masks.negatives[a, n] and distances[a, n] < 1.4
            wanted.append(1 / q if usable else 0.0)
        expected = torch.tensor(wanted, dtype=torch.float64)
        torch.testing.assert_close(shares[a], expected / expected.sum())
    assert (shares[~pair_masks.negatives] == 0).all()
    far = torch.full((2, 2), 2.0)
    assert (distance_weights(far, make_pair_masks(torch.tensor([0, 1])), 16) == 0).all()


@pytest.mark.parametrize("name", list(BATCHES))
def test_relatively_hard_pairs(name):
    embeddings, labels, _, pair_masks = measured(name)
    s = cosine_similarities(embeddings, embeddings)
    found = relatively_hard(s, pair_masks, 0.1)
    for a in range(len(labels)):
        positives = pair_masks.positives[a].nonzero()[:, 0].tolist()
        negatives = pair_masks.negatives[a].nonzero()[:, 0].tolist()
        for n in range(len(labels)):
            hard_n = n in negatives and any(s[a, n] + 0.1 > s[a, p] for p in positives)
            hard_p = n in positives and any(s[a, n] - 0.1 < s[a, m] for m in negatives)
            assert (found.negatives[a, n], found.positives[a, n]) == (hard_n, hard_p)


@pytest.mark.parametrize("name", list(BATCHES))
@pytest.mark.parametrize("margin", [math.inf, 0.3])
def test_angles_are_those_of_the_triangles(name, margin):
    embeddings, labels, distances, pair_masks = measured(name)
    chosen = []
    for a, p, n in triplets(labels):
        middle = (embeddings[a] + embeddings[p]) / 2
        angle = math.atan(distances[a, p] / (2 * (embeddings[n] - middle).norm()))
        if math.degrees(angle) > 20 and distances[a, n] < distances[a, p] + margin:
            chosen.append((a, p, n))
    found = angular_weights(distances, pair_masks, 20.0, margin)
    assert torch.equal(found.weights, counted(distances, chosen))
    assert found.triplets == len(chosen) > 0
    with pytest.raises(ValueError, match="between 0 and 90"):
        angular_weights(distances, pair_masks, 90.0)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0], [-1, -1], [0]])
def test_batches_without_triplets_give_none(labels):
    embeddings, coded = batch(labels)
    distances, pair_masks = euclidean_distances(embeddings, embeddings), make_pair_masks(coded)
    for which in INSIDE:
        assert triplet_weights(distances, pair_masks, 0.2, which).triplets == 0
    for found in (
        semi_hard_of_pairs(distances, pair_masks, 0.2),
        angular_weights(distances, pair_masks),
    ):
        assert found.triplets == 0
        assert (found.weights == 0).all()


def test_memory_grows_with_pairs_not_with_triplets():
    """While 128 items of two classes are mined, whose triplets are half a million.

    The largest tensor holds one entry a pair, or the fixed number of comparisons made at once.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        entries = 0

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            result = function(*arguments, **(keywords or {}))
            for each in result if isinstance(result, tuple) else (result,):
                if isinstance(each, torch.Tensor):
                    self.entries = max(self.entries, each.numel())
            return result

    embeddings, labels = batch([0, 1] * 64, dim=8)
    distances, pair_masks = euclidean_distances(embeddings, embeddings), make_pair_masks(labels)
    with Largest() as largest:
        triplet_weights(distances, pair_masks, 0.2)
    assert 128 * 128 <= largest.entries <= max(128 * 129, module._CELLS)


def test_counts_of_triplets_have_no_gradient():
    embeddings, _, _, pair_masks = measured("balanced")
    distances = euclidean_distances(embeddings.requires_grad_(), embeddings)
    shares = distances.exp()
    found = triplet_weights(distances, pair_masks, 0.2, negative_weights=shares)
    assert not found.weights.requires_grad


@pytest.mark.parametrize("name", MINERS.names())
def test_mining_has_no_gradient(name):
    """The weights are the gradient of the loss; one through their choice would be wrong."""
    embeddings, _, _, pair_masks = measured("balanced")
    distances = euclidean_distances(embeddings.requires_grad_(), embeddings)
    miner = MINERS[name]
    if isinstance(miner, AnchorMiner):
        place, _ = miner.pick(distances, pair_masks.positives)
        assert not place.requires_grad
    else:
        found = miner.weigh(distances, pair_masks, 0.5, embeddings.shape[1])
        assert not found.weights.requires_grad
        assert not found.triplets.requires_grad
